// A file of activations about to be used by a model: what it is said to hold (sidecar, options, columns) and what its
// norms look like, held against the model before that is loaded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/fail.h"
#include "data/activation_table.h"
#include "data/norm_statistics.h"
#include "nla/sidecar.h"

namespace nla {

struct ActivationInput {
  std::filesystem::path path;    // "-": standard input
  std::string column;            // empty: the reader's choice
  std::optional<int64_t> layer;  // K as the user says it, where no sidecar does
  std::string base_model;        // the same for the model
  bool force = false;            // doubts become warnings
  int64_t limit = 0;             // rows that will be used; 0: all
};

// What is known of the vectors, from the sidecar beside the file, else the options, else the column activation_layer.
struct ActivationFacts {
  std::optional<int64_t> layer;
  std::string base_model;
  std::string base_weights_hash;
  std::string norm = "none";              // of the sidecar's extraction
  std::optional<NormSummary> recorded;    // p5, p50, p75, p95 of the extraction, where its sidecar has them
  std::optional<DatasetSidecar> sidecar;  // the file's own
  NormSummary norms;                      // of the rows that will be used
};

// Reads every row that will be used once, which names a bad one before any work; the reader stands at row 0 again.
ActivationFacts Survey(ActivationReader& reader, const ActivationInput& input);

// Reasons to think that the vectors are not raw activations of the model's layer: another layer or base model, vectors
// that were normalised, norms far from those recorded or from the verbalizer's injection_scale.
std::vector<Complaint> Doubts(const ActivationFacts& facts, const ActivationInput& input, const ModelSidecar& model);

struct CheckedActivations {
  ActivationReader reader;
  ActivationFacts facts;
};
// Opens, surveys and checks. Another width than the model's is always an error; a doubt is one unless `force`.
CheckedActivations OpenActivations(const ActivationInput& input, const ModelSidecar& model);

}  // namespace nla
