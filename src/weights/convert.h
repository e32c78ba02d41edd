// GGUF to a Hugging Face directory: config.json, generation_config.json, model.safetensors or shards, tokenizer files.
#pragma once

#include <filesystem>
#include <string>

#include "weights/tensor_view.h"

namespace nla {

struct ConvertOptions {
  DType dtype = DType::kBF16;  // stored weights: bf16, f16 or f32
  bool replace = false;        // replace an existing output directory
  uint64_t shard_bytes =
      5'000'000'000;  // most bytes of values in a safetensors file, but for a tensor larger than that
};

// What was written.
struct ConvertFacts {
  std::string architecture;  // as the GGUF file names it
  int64_t tensors = 0;
  int64_t parameters = 0;
  uint64_t weight_bytes = 0;  // of the values in the safetensors files
  std::string weights_hash;   // Checkpoint::WeightsHash
};

// Undoes the q/k row order of Llama-type files. The directory appears whole or not at all, and is the same byte for
// byte on every run. Works row by row: memory does not grow with the model.
ConvertFacts ConvertGguf(const std::filesystem::path& gguf, const std::filesystem::path& out,
                         const ConvertOptions& options);

}  // namespace nla
