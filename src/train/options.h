// What a supervised run is told: the fields that verbalizer and reconstructor training share. Each role adds its own in
// sft/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "train/optimizer.h"

namespace nla {

struct TrainOptions {
  std::string base_model;       // checkpoint directory of the base model
  std::string init;             // start from this trained directory (adapters or whole) instead of the base's weights
  std::string dataset;          // Parquet of the role's stage, shuffled, with its sidecar
  std::string heldout;          // Parquet to evaluate on
  double heldout_fraction = 0;  // without `heldout`: this share of the dataset's documents, never trained on
  std::string out;              // run directory
  int64_t layer = -1;           // K; -1 takes the dataset's, another number must agree with it
  int64_t lora_rank = 16;       // 0 = full fine-tuning
  double lora_alpha = 32;
  OptimizerOptions optimizer;
  int64_t batch_size = 32;    // rows a step
  int64_t micro_rows = 2048;  // most packed token rows of one forward and backward pass
  int64_t steps = 0;          // 0: as many as `epochs` asks for
  double epochs = 1;
  int64_t seed = 0;
  std::string dtype = "auto";        // auto | fp32 | bf16
  std::string store_dtype = "bf16";  // of the final weights: bf16 | fp32
  int64_t eval_every = 100;          // steps; 0 = only at the end
  int64_t eval_rows = 256;
  int64_t save_every = 100;        // steps between checkpoints; 0 = only at the end
  int64_t log_every = 1;           // steps between lines of metrics.jsonl
  double train_seconds_limit = 0;  // stop with a final save after so much training time; 0 = none
};

FieldList Fields(TrainOptions& options);
void CheckOptions(const TrainOptions& options);  // usage errors name the field

enum class StartMode { kFresh, kResume, kReplace };

// The fields with `section` and a dot before each name: what --set takes.
FieldList InSection(const FieldList& fields, const std::string& section);
// A field's value as its YAML text.
std::string ValueText(const Field& field);
// Names of the fields whose values differ; the lists are of the same options type.
std::vector<std::string> DifferingFields(const FieldList& a, const FieldList& b);

// Reads `section` of a recipe file, then the assignments ("train_av.lr=1e-4").
void LoadRecipe(const FieldList& fields, const std::string& recipe, const std::string& section,
                const std::vector<std::string>& assignments);

}  // namespace nla
