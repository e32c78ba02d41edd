// The report card's measurements.
#include "eval/report.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "base/progress.h"
#include "eval/perplexity.h"
#include "nla/reconstructor.h"
#include "nla/rewording.h"
#include "text/unicode.h"

namespace nla {
namespace {

struct HeldOut {
  std::vector<float> gold;          // [n, d]
  std::vector<std::string> labels;  // empty when the dataset has none
  std::vector<std::string> texts;
};

HeldOut ReadRows(const ActivationInput& dataset, const ModelSidecar& actor) {
  ActivationReader reader = OpenActivations(dataset, actor).reader;
  const int64_t limit = dataset.limit > 0 ? std::min(dataset.limit, reader.row_count()) : reader.row_count();
  if (limit < 2) Fail({.where = reader.name(), .what = "too few rows for a report", .wanted = "at least 2"});
  HeldOut rows;
  for (ActivationRow& row : reader.Next(limit)) {
    rows.gold.insert(rows.gold.end(), row.activation.begin(), row.activation.end());
    rows.texts.push_back(std::move(row.text));
    if (reader.schema() == RowSchema::kExplained) rows.labels.push_back(std::move(row.explanation));
  }
  return rows;
}

std::string Tail(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  return "…" + text.substr(LastBytesOffset(text, bytes));
}

void AddExamples(const HeldOut& rows, const std::vector<std::string>& explanations, const std::vector<float>& predicted,
                 int64_t count, ReportCard& card) {
  const auto n = static_cast<int64_t>(explanations.size());
  const int64_t d = static_cast<int64_t>(predicted.size()) / n;
  for (int64_t k = 0; k < std::min(count, n); ++k) {
    const int64_t i = k * n / std::min(count, n);
    const double cosine =
        Cosine({predicted.data() + i * d, static_cast<size_t>(d)}, {rows.gold.data() + i * d, static_cast<size_t>(d)});
    card.examples.push_back({Tail(rows.texts[i], 120), explanations[i], cosine});
  }
}

}  // namespace

Retention MeasureRetention(const std::vector<std::string>& explanations,
                           const std::function<FveSummary(const std::vector<std::string>&)>& score) {
  const Retellings retold = Retell(explanations);
  return {
      .truncated = score(retold.beginnings),
      .reworded = score(retold.paraphrases),
      .words_reworded = static_cast<double>(retold.reworded) / static_cast<double>(std::max<int64_t>(retold.words, 1))};
}

ReportCard MakeReport(const PairLocation& pair, const ReportOptions& options) {
  NLA_CHECK(options.verbalize.samples == 1);
  // The rows first: what is wrong with them, or missing, shows before the models are loaded.
  RoleSource actor = pair.Actor(options.compute);
  actor.packing = options.packing;
  std::optional<std::filesystem::path> base_directory;
  if (options.language) base_directory = RequireBase(pair, "the perplexity of explanations");
  const HeldOut rows = ReadRows(options.dataset, ReadModelSidecar(actor.directory));
  const Verbalizer verbalizer = Verbalizer::Load(actor);
  const Reconstructor reconstructor = Reconstructor::Load(pair.Critic(options.compute));
  const int64_t d = verbalizer.d_model();
  const size_t n = rows.texts.size();
  const auto summarize = [&](const std::vector<float>& predicted) {
    return Summarize(predicted, rows.gold, d, options.seed);
  };

  ReportCard card;
  std::vector<std::string> explanations(n);
  Progress progress("verbalize", "rows", static_cast<int64_t>(n));
  int64_t finished = 0;
  int64_t tokens = 0;
  int64_t extracted = 0;
  verbalizer.Run(rows.gold, options.verbalize, [&](const Verbalization& one) {
    tokens += static_cast<int64_t>(one.ids.size());
    extracted += one.explanation ? 1 : 0;
    explanations[one.index] = one.explanation.value_or("");
    progress.Update(++finished);
  });
  card.extraction_rate = static_cast<double>(extracted) / static_cast<double>(n);
  card.tokens_mean = static_cast<double>(tokens) / static_cast<double>(n);
  const std::vector<float> predicted = reconstructor.Run(explanations);
  card.round_trip = summarize(predicted);
  card.shuffled = summarize(ShuffledRows(predicted, d));
  const auto floor = [&](const std::string& text) {
    return summarize(RepeatedRow(reconstructor.Run(std::vector<std::string>{text}), static_cast<int64_t>(n)));
  };
  const std::vector<float> nothing(d, 0.0F);
  const std::vector<Verbalization> reply = verbalizer.Run(nothing, options.verbalize);
  card.zero = floor(reply[0].explanation.value_or(""));
  card.empty = floor("");
  if (!rows.labels.empty()) card.label = summarize(reconstructor.Run(rows.labels));
  if (options.language) {
    const LanguageModel base = LanguageModel::Load(*base_directory, {.compute = options.compute});
    card.language = {
        .retention = MeasureRetention(
            explanations, [&](const std::vector<std::string>& texts) { return summarize(reconstructor.Run(texts)); }),
        .perplexity = Perplexity(base, explanations),
        .label_perplexity = Perplexity(base, rows.labels)};
  }
  AddExamples(rows, explanations, predicted, options.examples, card);
  return card;
}

}  // namespace nla
