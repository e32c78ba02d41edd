// GGUF metadata as the config.json of a Hugging Face checkpoint, and the plan of its tensors. Writing them is
// convert.cc's, the tokenizer gguf_tokenizer's.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "weights/gguf.h"
#include "weights/gguf_family.h"
#include "weights/tensor_view.h"

namespace nla {

struct PlannedTensor {
  std::string name;                    // in the checkpoint
  const GgufTensor* source = nullptr;  // into the GgufFile
  int64_t paired_heads = 0;            // above 0: rows of so many heads are stored as pairs
  bool one_added = false;
};

struct ConversionPlan {
  nlohmann::ordered_json config;
  std::vector<PlannedTensor> tensors;
};

// Every tensor of the file has its place in the plan and the shape that the config says; anything else is an error, and
// so is a metadata key of the architecture that is not known here.
ConversionPlan PlanConversion(const GgufFile& file, DType dtype);

// The ids after which generation stops: eos, and the ends of a turn or message that the file names or that are spelled
// in a known way. Ascending after eos, each once; empty where the file has none.
std::vector<int64_t> EndIds(const GgufFile& file);

}  // namespace nla
