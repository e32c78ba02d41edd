// The report card of a pair on held-out rows: both FVEs with intervals, the floors, and the labels' own score.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "nla/activation_input.h"
#include "nla/metrics.h"
#include "nla/pair.h"
#include "nla/verbalizer.h"

namespace nla {

struct ReportOptions {
  ActivationInput dataset;  // with explanations too the labels are scored
  at::ScalarType compute = at::kFloat;
  std::optional<packed::Format> packing = {};  // of the verbalizer's weights (RoleSource)
  VerbalizeOptions verbalize = {};             // one sample a row
  uint64_t seed = 0;                           // of the bootstrap
  int64_t examples = 8;                        // rows shown with their text and explanation
  bool language = false;                       // also LanguageFigures: two more passes of the AR, two of the base
};

struct ReportExample {
  std::string text;  // the end of the text before the activation
  std::string explanation;
  double cosine = 0;
};

// What the AR makes of the explanations said otherwise (nla/rewording.h).
struct Retention {
  FveSummary truncated;       // their first three quarters
  FveSummary reworded;        // synonyms
  double words_reworded = 0;  // share
};

// Whether the explanations are language and not a code.
struct LanguageFigures {
  Retention retention;
  // The base model's, of texts that are not empty.
  std::optional<double> perplexity;
  std::optional<double> label_perplexity;
};

struct ReportCard {
  FveSummary round_trip;       // activation → explanation → vector
  double extraction_rate = 0;  // share of replies with both tags; the others are scored as empty text
  double tokens_mean = 0;      // of the replies
  // What the same AR scores when the explanation says nothing of the vector:
  FveSummary shuffled;              // the explanation of another row
  FveSummary zero;                  // the verbalizer's reply to a zero vector
  FveSummary empty;                 // no text at all
  std::optional<FveSummary> label;  // the dataset's own explanations
  std::optional<LanguageFigures> language;
  std::vector<ReportExample> examples;
};

// `score` gives what the AR scores with these texts, one a row.
Retention MeasureRetention(const std::vector<std::string>& explanations,
                           const std::function<FveSummary(const std::vector<std::string>&)>& score);

ReportCard MakeReport(const PairLocation& pair, const ReportOptions& options);

// One self-contained page.
std::string ReportHtml(const ReportCard& card, const std::string& pair, const std::string& dataset);

}  // namespace nla
