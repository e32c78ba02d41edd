// What the model tests share: golden tensors, relative differences, the tiny checkpoints.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "text/tokenizer.h"
#include "weights/safetensors.h"

namespace nla::testing {

std::filesystem::path TinyLlama(const std::string& variant = "tiny_llama");

// A tensor of a golden file; integers come back as int64.
at::Tensor Golden(const SafetensorsFile& file, const std::string& name);
std::vector<TokenId> GoldenIds(const SafetensorsFile& file, const std::string& name);

// ‖a − b‖ / ‖b‖ in double.
double RelativeError(const at::Tensor& a, const at::Tensor& b);

}  // namespace nla::testing
