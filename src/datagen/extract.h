// Stage extract: a corpus through blocks 0..K of a model to base rows: activations at chosen tokens, with the text up
// to each (formats.md section 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "datagen/positions.h"

namespace nla {

struct ExtractOptions {
  std::filesystem::path model;                // checkpoint directory
  std::string base_model;                     // name in the sidecar; default: the directory's
  std::vector<std::filesystem::path> corpus;  // .jsonl, .txt, .parquet, folders
  std::string text_field = "text";
  std::string corpus_name;  // in doc_id and sidecar; default: the first path as given
  std::string split = "train";
  int64_t layer = -1;  // K: the output of block K, 0-based
  std::filesystem::path out;
  int64_t start = 0;          // first document of the slice
  int64_t length = 0;         // documents; 0: to the end
  int64_t max_length = 2048;  // tokens a document is cut to
  PositionOptions positions;
  at::ScalarType compute = at::kFloat;
  int64_t batch_tokens = 2048;  // tokens per forward pass; a longer document goes alone
  bool keep_text = true;
  bool replace = false;
};

struct ExtractReport {
  int64_t rows = 0;
  int64_t documents = 0;          // read
  int64_t documents_without = 0;  // of these, without a token to take (too short)
  int64_t tokens = 0;             // through the model
  double tokens_per_second = 0;   // of this run
  // Of the activations' norms; from a uniform sample of rows where there are very many.
  double norm_p5 = 0, norm_p50 = 0, norm_p75 = 0, norm_p95 = 0;
};

// Works in `<out>.parts/`, one file for 256 documents, and goes on there after a crash or Ctrl-C. Memory does not grow
// with the number of rows.
ExtractReport Extract(const ExtractOptions& options);

}  // namespace nla
