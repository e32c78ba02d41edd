// The families of GGUF files that can be converted: which config.json and which tensors of a Hugging Face checkpoint a
// file turns into. Writing them is convert.cc's; the tokenizer is gguf_tokenizer's.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "weights/gguf.h"
#include "weights/tensor_view.h"

namespace nla {

struct PlannedTensor {
  std::string name;                    // in the checkpoint
  const GgufTensor* source = nullptr;  // into the GgufFile
  // Above 0: the rows of each of so many heads are stored as pairs (i, i + half) and must be put back into halves.
  int64_t paired_heads = 0;
};

struct ConversionPlan {
  nlohmann::ordered_json config;
  std::vector<PlannedTensor> tensors;
};

// Every tensor of the file has its place in the plan and the shape that the config says; anything else is an error.
ConversionPlan PlanConversion(const GgufFile& file, DType dtype);

}  // namespace nla
