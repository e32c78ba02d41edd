// `nla explain`: the main job: a text to explained and scored tokens.
#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <sstream>

#include "base/fail.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/pair_options.h"
#include "nla/explainer.h"

namespace nla::cli {
namespace {

struct ExplainArguments {
  PairArguments pair;
  std::string text;
  std::string tokens = "last";
  std::string quant = "none";
  ExplainOptions explain;
};

std::vector<int64_t> ParseTokens(const std::string& spelled) {
  if (spelled == "last") return {-1};
  if (spelled == "all") return {};
  std::vector<int64_t> tokens;
  std::istringstream parts(spelled);
  for (std::string part; std::getline(parts, part, ',');) {
    const char* end = part.data() + part.size();
    int64_t value = 0;
    const auto [stop, error] = std::from_chars(part.data(), end, value);
    if (error != std::errc() || stop != end) {
      FailUsage({.where = "--tokens",
                 .what = "not a list of tokens",
                 .found = spelled,
                 .wanted = "last, all, or numbers such as 0,3,-1"});
    }
    tokens.push_back(value);
  }
  return tokens;
}

// A token on one line: its spelling with line breaks shown.
std::string Shown(const std::string& token) {
  std::string out;
  for (const char c : token) out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : std::string(1, c);
  return "\"" + out + "\"";
}

// Explanations have blank lines between their features; a terminal shows them under each other.
std::string Indented(const std::string& explanation) {
  std::string out = "    ";
  for (size_t i = 0; i < explanation.size(); ++i) {
    if (explanation[i] == '\n' && i + 1 < explanation.size() && explanation[i + 1] == '\n') continue;
    out += explanation[i];
    if (explanation[i] == '\n') out += "    ";
  }
  return out;
}

void PrintText(const std::vector<TokenExplanation>& tokens) {
  for (const TokenExplanation& one : tokens) {
    fmt::print("{:>3} {:<16} cosine {:.3f}", one.index, Shown(one.token), one.cosine);
    if (one.fve_raw_variance)
      fmt::print("  FVE {:.2f} raw variance, {:.2f} mean norm", *one.fve_raw_variance, *one.fve_mean_norm);
    fmt::print("{}\n{}\n\n", one.ok ? "" : "  (no explanation tags in the reply)", Indented(one.explanation));
  }
}

void PrintAsJson(const ExplainArguments& options, const PairLocation& pair,
                 const std::vector<TokenExplanation>& tokens) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  const auto optional = [](const std::optional<double>& x) { return x ? nlohmann::ordered_json(*x) : nullptr; };
  for (const TokenExplanation& one : tokens) {
    list.push_back({{"index", one.index},
                    {"id", one.id},
                    {"token", one.token},
                    {"explanation", one.explanation},
                    {"norm", one.norm},
                    {"cosine", one.cosine},
                    {"mse", one.mse},
                    {"fve_raw_variance", optional(one.fve_raw_variance)},
                    {"fve_mean_norm", optional(one.fve_mean_norm)},
                    {"ok", one.ok}});
  }
  PrintJson({{"pair", options.pair.Shown()},
             {"base_model", pair.manifest.base_name},
             {"layer", pair.manifest.layer},
             {"quant", options.quant},
             {"text", options.text},
             {"tokens", list}});
}

void Run(const ExplainArguments& options, const CommonOptions& common) {
  const at::ScalarType compute = SetUpCompute(common);
  ExplainOptions explain = options.explain;
  explain.tokens = ParseTokens(options.tokens);
  explain.verbalize.seed = common.seed;
  const PairLocation pair = Locate(options.pair);
  const Explainer explainer = Explainer::Load(pair, compute, PackingOf(options.quant, compute));
  const std::vector<TokenExplanation> tokens = explainer.Explain(options.text, explain);
  if (common.json) {
    PrintAsJson(options, pair, tokens);
  } else {
    PrintText(tokens);
  }
}

}  // namespace

void AddExplain(Command root, CommonOptions& common) {
  auto options = std::make_shared<ExplainArguments>();
  Command command =
      AddCommand(root, common, "explain", "Explain what a model holds at the tokens of a text",
                 "nla explain --pair demo/pair --text \"The train to Oslo was late again.\" --tokens all");
  AddPairOptions(command, options->pair);
  command.AddOption("--text", options->text, "the text").Required();
  command.AddOption("--tokens", options->tokens, "last, all, or numbers (0,3,-1)").ShowDefault();
  command.AddFlag("--parse-special", options->explain.parse_special, "let special spellings in the text be special");
  AddSamplesOption(command, options->explain.verbalize);
  AddDecodingOptions(command, options->explain.verbalize);
  AddQuantOption(command, options->quant);
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
