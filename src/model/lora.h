// Low-rank adapters on the seven linears of every block, and their PEFT layout on disk (adapter_config.json and
// adapter_model.safetensors). The arithmetic is linear.h's.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "model/spec.h"

namespace nla {

struct LoraSpec {
  int64_t rank = 0;  // 0: no adapters
  double alpha = 0;
  double scale() const { return rank == 0 ? 0 : alpha / static_cast<double>(rank); }
};

// y += scale · (x Aᵀ) Bᵀ. Undefined tensors mean no adapter.
struct Adapter {
  at::Tensor a;  // [rank, in]
  at::Tensor b;  // [out, rank]
  bool defined() const { return a.defined(); }
};

struct NamedTensor {
  std::string name;
  at::Tensor tensor;  // shares storage with the model
};

// PEFT's name of an adapter tensor: base_model.model.model.layers.N.<linear>.lora_A.weight.
std::string AdapterTensorName(int64_t block, int linear, bool is_a);

// Writes both files into an existing directory. `tensors` are cast to `store`; names as AdapterTensorName gives them.
void WriteAdapters(const std::filesystem::path& directory, const LoraSpec& lora, const std::string& base_model,
                   const std::vector<NamedTensor>& tensors, at::ScalarType store);
bool HasAdapters(const std::filesystem::path& directory);
// Reads rank and alpha; refuses what the arithmetic here does not do (rsLoRA, DoRA, biases).
LoraSpec ReadLoraSpec(const std::filesystem::path& directory);

}  // namespace nla
