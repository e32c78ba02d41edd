// The trained checkpoint on disk (formats.md section 2): adapters or whole weights, value head, sidecar, and the files
// of its text side.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>

#include "model/decoder.h"
#include "nla/sidecar.h"
#include "train/optimizer.h"

namespace nla {

struct TrainedModel {
  const Decoder& decoder;      // what was trained: its adapters where it has them, else all of it
  const Optimizer& optimizer;  // holds the masters that are written
  std::string base_model;      // its name, for adapter_config.json
  // Directory whose config.json and tokenizer files are written beside the weights; empty: none, as adapters in a pair
  // do without.
  std::filesystem::path text_side;
  at::ScalarType store = at::kBFloat16;  // number type on disk
};

// Fills an existing directory. Of the sidecar all but weights_hash is there.
void WriteTrainedModel(const std::filesystem::path& directory, const TrainedModel& trained, ModelSidecar sidecar);

}  // namespace nla
