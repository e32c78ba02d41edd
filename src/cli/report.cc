// `nla report`: the report card of a pair on held-out rows.
#include "eval/report.h"

#include <fmt/format.h>

#include <memory>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/pair_options.h"

namespace nla::cli {
namespace {

struct ReportArguments {
  PairArguments pair;
  std::string html;
  std::string quant = "none";
  ReportOptions report;
};

void PrintText(const ReportCard& card) {
  fmt::print("{} rows, extraction rate {:.3f}, {:.1f} tokens a reply\n\n", card.round_trip.n, card.extraction_rate,
             card.tokens_mean);
  PrintScoreHeader();
  PrintScores("round trip", card.round_trip);
  if (card.label) PrintScores("labels read by the reconstructor", *card.label);
  if (card.language) {
    const Retention& retention = card.language->retention;
    PrintScores("three quarters of the words", retention.truncated);
    PrintScores(fmt::format("{:.0f} % of the words as synonyms", 100 * retention.words_reworded).c_str(),
                retention.reworded);
  }
  PrintScores("floor: another row's explanation", card.shuffled);
  PrintScores("floor: reply to a zero vector", card.zero);
  PrintScores("floor: empty text", card.empty);
  if (card.language && card.language->perplexity) {
    fmt::print("\nperplexity by the base model: explanations {:.1f}", *card.language->perplexity);
    if (card.language->label_perplexity) fmt::print(", labels {:.1f}", *card.language->label_perplexity);
    fmt::print("\n");
  }
}

nlohmann::ordered_json Describe(const ReportCard& card, const PairLocation& pair, const ReportArguments& options) {
  nlohmann::ordered_json out = ToJson(card.round_trip);
  out["extraction_rate"] = card.extraction_rate;
  out["tokens_mean"] = card.tokens_mean;
  out["floors"] = {{"shuffled", ToJson(card.shuffled)}, {"zero", ToJson(card.zero)}, {"empty", ToJson(card.empty)}};
  if (card.label) out["label"] = ToJson(*card.label);
  if (card.language) {
    const LanguageFigures& language = *card.language;
    out["retention"] = {{"truncated", ToJson(language.retention.truncated)},
                        {"reworded", ToJson(language.retention.reworded)},
                        {"words_reworded", language.retention.words_reworded}};
    out["perplexity"] = nlohmann::ordered_json::object();
    if (language.perplexity) out["perplexity"]["explanations"] = *language.perplexity;
    if (language.label_perplexity) out["perplexity"]["labels"] = *language.label_perplexity;
  }
  out["pair"] = options.pair.Shown();
  out["dataset"] = options.report.dataset.path.string();
  out["base_model"] = pair.manifest.base_name;
  out["layer"] = pair.manifest.layer;
  out["dtype"] = options.report.compute == at::kFloat ? "fp32" : "bf16";
  out["quant"] = options.quant;
  return out;
}

void Run(ReportArguments options, const CommonOptions& common) {
  options.report.compute = SetUpCompute(common);
  options.report.packing = PackingOf(options.quant, options.report.compute);
  options.report.seed = common.seed;
  options.report.verbalize.seed = common.seed;
  const PairLocation pair = Locate(options.pair);
  const ReportCard card = MakeReport(pair, options.report);
  if (!options.html.empty()) {
    WriteFileAtomically(options.html, ReportHtml(card, options.pair.Shown(), options.report.dataset.path.string()));
  }
  if (common.json) {
    PrintJson(Describe(card, pair, options));
  } else {
    PrintText(card);
  }
}

}  // namespace

void AddReport(Command root, CommonOptions& common) {
  auto options = std::make_shared<ReportArguments>();
  Command command = AddCommand(root, common, "report", "Measure a pair on held-out rows, with floors and intervals",
                               "nla report --pair demo/pair --dataset demo/heldout.parquet");
  AddPairOptions(command, options->pair);
  command
      .AddOption("--dataset", options->report.dataset.path, "held-out rows: Parquet, or any other file of activations")
      .Required()
      .TypeName("FILE");
  AddActivationOptions(command, options->report.dataset);
  command.AddOption("--rows", options->report.dataset.limit, "only the first N rows; 0: all")
      .ShowDefault()
      .NotNegative();
  command.AddFlag("--language", options->report.language,
                  "also whether the explanations are language: the score of their first three quarters and of "
                  "synonyms, and their perplexity by the base model");
  command.AddOption("--html", options->html, "also write the card as a page");
  AddDecodingOptions(command, options->report.verbalize);
  AddQuantOption(command, options->quant);
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
