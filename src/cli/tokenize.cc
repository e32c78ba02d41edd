// `nla tokenize`: what the tokenizer of a checkpoint makes of a text, a chat turn, or many lines of JSON strings.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <memory>

#include "base/fail.h"
#include "base/interrupt.h"
#include "cli/commands.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace nla::cli {
namespace {

struct TokenizeArguments {
  std::string model;
  std::string text;
  std::string jsonl;
  bool no_special = false;
  bool parse_special = false;
  bool chat = false;
  std::string date;
};

class TextTokenizer {
 public:
  explicit TextTokenizer(const TokenizeArguments& options)
      : options_(options), tokenizer_(Tokenizer::Load(options.model)) {
    if (options.chat) chat_.emplace(ChatFormat::Load(options.model, {.date = options.date}));
  }

  std::vector<TokenId> Encode(const std::string& text) const {
    if (!chat_) {
      return tokenizer_.Encode(text, {.add_special = !options_.no_special, .parse_special = options_.parse_special});
    }
    const std::vector<ChatMessage> messages = {{"user", text}};
    return chat_->Encode(tokenizer_, messages, true, options_.parse_special);
  }

  // {"ids": [...], "pieces": [...]}: part of a character shows as U+FFFD.
  nlohmann::ordered_json Describe(const std::vector<TokenId>& ids) const {
    nlohmann::ordered_json pieces = nlohmann::ordered_json::array();
    for (const TokenId id : ids) pieces.push_back(tokenizer_.Decode(std::span(&id, 1), false));
    return {{"ids", ids}, {"pieces", pieces}};
  }

 private:
  const TokenizeArguments& options_;
  Tokenizer tokenizer_;
  std::optional<ChatFormat> chat_;
};

std::string ParseLine(const std::string& line, const std::string& where) {
  const nlohmann::json value = nlohmann::json::parse(line, nullptr, false);
  if (!value.is_string()) {
    Fail({.where = where, .what = "not a JSON string", .found = line.substr(0, 80), .wanted = "\"text\" on each line"});
  }
  return value.get<std::string>();
}

void TokenizeLines(const TextTokenizer& tokenizer, const std::string& path) {
  std::ifstream file;
  if (path != "-") {
    file.open(path);
    if (!file) Fail({.where = path, .what = "cannot be read", .mend = "Check that the file exists"});
  }
  std::istream& in = path == "-" ? std::cin : file;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    ThrowIfInterrupted();
    const std::string text = ParseLine(line, fmt::format("{}:{}", path == "-" ? "standard input" : path, number));
    fmt::print("{}\n", tokenizer.Describe(tokenizer.Encode(text)).dump());
  }
}

void Run(const CommonOptions& common, const TokenizeArguments& options, bool has_text) {
  if (has_text != options.jsonl.empty()) {
    FailUsage({.where = "nla tokenize", .what = "give TEXT or --jsonl", .found = has_text ? "both" : "neither"});
  }
  if (!options.date.empty() && !options.chat) FailUsage({.where = "--date", .what = "needs --chat"});
  const TextTokenizer tokenizer(options);
  if (!has_text) return TokenizeLines(tokenizer, options.jsonl);
  const std::vector<TokenId> ids = tokenizer.Encode(options.text);
  const nlohmann::ordered_json described = tokenizer.Describe(ids);
  if (common.json) return PrintJson(described);
  for (size_t i = 0; i < ids.size(); ++i) fmt::print("{:>8}  {}\n", ids[i], described["pieces"][i].dump());
}

}  // namespace

void AddTokenize(Command root, CommonOptions& common) {
  Command command = AddCommand(root, common, "tokenize", "Show the token ids of a text",
                               "nla tokenize --model models/smollm2 --json \"Hello, world\"");
  const auto options = std::make_shared<TokenizeArguments>();  // shared: the callback outlives this function
  AcceptHubName(command.AddOption("--model", options->model, "checkpoint directory with tokenizer.json").Required());
  Option text = command.AddOption("TEXT", options->text, "the text");
  command.AddOption("--jsonl", options->jsonl,
                    "read one JSON string a line from this file (- is standard input); write one object a line");
  command.AddFlag("--no-special", options->no_special, "do not add the tokenizer's own special tokens (BOS)");
  command.AddFlag("--parse-special", options->parse_special,
                  "let the spelling of a special token become its id; without it, it stays text");
  command.AddFlag("--chat", options->chat, "encode each text as one user turn, with the generation prompt");
  command.AddOption("--date", options->date,
                    "with --chat: the day (YYYY-MM-DD) for chat templates that print one; 2024-07-26 without it");
  command.OnRun([&common, options, text] { Run(common, *options, text.given()); });
}

}  // namespace nla::cli
