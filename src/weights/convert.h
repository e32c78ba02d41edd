// GGUF to a Hugging Face directory: config.json, model.safetensors (bf16), tokenizer.json, tokenizer_config.json.
#pragma once

#include <filesystem>
#include <string>

#include "weights/tensor_view.h"

namespace nla {

struct ConvertOptions {
  DType dtype = DType::kBF16;  // stored weights: bf16, f16 or f32
  bool replace = false;        // replace an existing output directory
};

// Undoes the q/k row order of Llama-type files. The directory appears whole or not at all.
void ConvertGguf(const std::filesystem::path& gguf, const std::filesystem::path& out, const ConvertOptions& options);

}  // namespace nla
