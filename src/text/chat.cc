// ChatML: rendering, and encoding that keeps messages from becoming control tokens.
#include "text/chat.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/fail.h"
#include "base/file.h"
#include "text/chat_template.h"
#include "text/json_view.h"

namespace nla {
namespace {

constexpr std::string_view kTurnStart = "<|im_start|>";
constexpr std::string_view kTurnEnd = "<|im_end|>";

struct ChatTemplate {
  std::string source;
  std::string where;
};

// A template of its own file comes before the one in tokenizer_config.json, which is a string or a list of named ones.
ChatTemplate ReadTemplate(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / "chat_template.jinja";
  if (std::filesystem::exists(file)) return {ReadFile(file), file.string()};
  const std::string config_path = (directory / "tokenizer_config.json").string();
  const nlohmann::json config = ParseJson(ReadFile(config_path), config_path);
  const std::string where = config_path + ": chat_template";
  const auto field = JsonView(config, config_path).Find("chat_template");
  if (!field) {
    Fail({.where = where,
          .what = "the checkpoint has no chat template",
          .wanted = "an instruction-tuned model",
          .mend = "Use the model's instruct variant"});
  }
  if (!field->value().is_array()) return {field->String(), where};
  for (size_t i = 0; i < field->size(); ++i) {
    if (field->At(i).At("name").String() == "default") return {field->At(i).At("template").String(), where};
  }
  Fail({.where = where, .what = "no template named \"default\" among those listed"});
}

void CheckRole(const std::string& role) {
  constexpr std::array<std::string_view, 3> kRoles = {"system", "user", "assistant"};
  if (std::find(kRoles.begin(), kRoles.end(), role) != kRoles.end()) return;
  Fail({.where = "chat message", .what = "unknown role", .found = role, .wanted = "system, user or assistant"});
}

TokenId ControlToken(const Tokenizer& tokenizer, std::string_view spelling) {
  const std::optional<TokenId> id = tokenizer.Find(spelling);
  if (!id || !tokenizer.IsSpecial(*id)) {
    Fail({.where = "tokenizer.json",
          .what = "the chat template's control token is not a special token of this tokenizer",
          .found = std::string(spelling),
          .mend = "Take tokenizer.json and tokenizer_config.json from the same checkpoint"});
  }
  return *id;
}

}  // namespace

ChatFormat ChatFormat::Load(const std::filesystem::path& directory) {
  const ChatTemplate chat_template = ReadTemplate(directory);
  ChatFormat made;
  made.default_system_ = RecogniseChatMl(chat_template.source, chat_template.where).default_system;
  made.end_of_turn_ = kTurnEnd;
  return made;
}

std::vector<ChatRun> ChatFormat::Render(std::span<const ChatMessage> messages, bool add_generation_prompt) const {
  std::vector<ChatRun> runs;
  const auto control = [&](std::string text) { runs.push_back({std::move(text), true}); };
  if (!default_system_.empty() && !messages.empty() && messages[0].role != "system") {
    control(fmt::format("{}system\n{}{}\n", kTurnStart, default_system_, kTurnEnd));
  }
  for (const ChatMessage& message : messages) {
    CheckRole(message.role);
    control(fmt::format("{}{}\n", kTurnStart, message.role));
    runs.push_back({message.content, false});
    control(fmt::format("{}\n", kTurnEnd));
  }
  if (add_generation_prompt) control(fmt::format("{}assistant\n", kTurnStart));
  return runs;
}

std::string ChatFormat::RenderText(std::span<const ChatMessage> messages, bool add_generation_prompt) const {
  std::string text;
  for (const ChatRun& run : Render(messages, add_generation_prompt)) text += run.text;
  return text;
}

// Text between two control tokens is encoded as one piece, because a word may span the template's newline and the
// message.
std::vector<TokenId> ChatFormat::Encode(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                                        bool add_generation_prompt, bool parse_special_in_content) const {
  const std::array<std::pair<std::string_view, TokenId>, 2> controls = {
      std::pair{kTurnStart, ControlToken(tokenizer, kTurnStart)}, {kTurnEnd, ControlToken(tokenizer, kTurnEnd)}};
  std::vector<TokenId> ids;
  std::string text;
  const auto flush = [&] {
    const auto encoded = tokenizer.Encode(text, {.add_special = false, .parse_special = parse_special_in_content});
    ids.insert(ids.end(), encoded.begin(), encoded.end());
    text.clear();
  };
  for (const ChatRun& run : Render(messages, add_generation_prompt)) {
    std::string_view rest = run.text;
    while (run.control) {
      const size_t start = std::min(rest.find(kTurnStart), rest.find(kTurnEnd));
      if (start == rest.npos) break;
      text += rest.substr(0, start);
      flush();
      const auto& [spelling, id] = rest.substr(start).starts_with(kTurnStart) ? controls[0] : controls[1];
      ids.push_back(id);
      rest.remove_prefix(start + spelling.size());
    }
    text += rest;
  }
  flush();
  return ids;
}

}  // namespace nla
