// Rows explained by a trained verbalizer in place of a label provider: what a reconstructor trains on to learn how far
// that verbalizer can be trusted, and what `score` takes to measure the round trip by hand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "nla/activation_input.h"
#include "nla/verbalizer.h"

namespace nla {

struct ExplainRowsOptions {
  std::filesystem::path input;   // any file of activations; its sidecar is made up where it has none
  std::string column = {};       // of the vectors, where the user named one
  std::filesystem::path output;  // the same rows with the verbalizer's api_explanation
  std::string verbalizer;        // name in the sidecar: the verbalizer's directory
  VerbalizeOptions verbalize;    // one sample a row
  int64_t limit = 0;             // only the first rows; 0: all
  bool replace = false;
};

struct ExplainRowsResult {
  int64_t rows_in = 0;
  int64_t rows_out = 0;
  int64_t dropped = 0;  // replies without both tags
};

// Who explains: a verbalizer in this process, or one elsewhere.
struct RowExplainer {
  const ModelSidecar& sidecar;  // borrowed
  // As Verbalizer::Run: all replies in order.
  std::function<std::vector<Verbalization>(std::span<const float> activations, const VerbalizeOptions& options)> run;
};

// `rows` is the input, open. Works in `<output>.parts/` and goes on there after a crash or Ctrl-C.
ExplainRowsResult ExplainRows(const RowExplainer& explainer, CheckedActivations& rows,
                              const ExplainRowsOptions& options);

}  // namespace nla
