// Low-rank adapters on the seven linears of every block, and their PEFT layout on disk (adapter_config.json and
// adapter_model.safetensors). The arithmetic is linear.h's.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/spec.h"
#include "weights/safetensors.h"

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

// An adapter directory, opened: views of the two factors of every linear that has adapters.
class AdapterFile {
 public:
  struct Factors {
    const TensorView* a = nullptr;  // [rank, in]
    const TensorView* b = nullptr;  // [out, rank]
  };

  // Names may have peft's ".default" before ".weight", and a multimodal wrapper's prefix. Errors: a tensor that is not
  // a factor of a block's linear (other layers' adapters would be lost in silence), a factor without the other, a
  // linear that target_modules lists and the file lacks.
  static AdapterFile Open(const std::filesystem::path& directory);

  const LoraSpec& spec() const { return spec_; }
  const std::filesystem::path& path() const { return file_.path(); }
  // The linears, by index in LinearNames(), that have adapters: the same in every block.
  bool adapts(int linear) const { return adapted_[linear]; }
  // Of a linear that is adapted; an error when the block lacks it.
  const Factors& At(int64_t block, int linear) const;
  // One past the last block with adapters.
  int64_t blocks() const { return by_linear_.empty() ? 0 : by_linear_.rbegin()->first.first + 1; }

 private:
  AdapterFile(LoraSpec spec, SafetensorsFile file) : spec_(spec), file_(std::move(file)) {}
  LoraSpec spec_;
  SafetensorsFile file_;
  std::map<std::pair<int64_t, int>, Factors> by_linear_;  // (block, linear)
  std::array<bool, kLinearsPerBlock> adapted_ = {};
};

// Writes both files into an existing directory. `tensors` are cast to `store`; names as AdapterTensorName gives them.
// target_modules are the linears that the names speak of.
void WriteAdapters(const std::filesystem::path& directory, const LoraSpec& lora, const std::string& base_model,
                   const std::vector<NamedTensor>& tensors, at::ScalarType store);
bool HasAdapters(const std::filesystem::path& directory);
// Reads rank and alpha; refuses what the arithmetic here does not do (rsLoRA, DoRA, biases, retrained embeddings …).
LoraSpec ReadLoraSpec(const std::filesystem::path& directory);

}  // namespace nla
