// Between weight files and torch: views of file bytes as tensors, tensors as views to write, dtype choice at run time.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "model/lora.h"
#include "model/spec.h"
#include "weights/checkpoint.h"
#include "weights/tensor_view.h"

namespace nla {

// torch's name of a floating type; another type is an error.
at::ScalarType ScalarOf(DType dtype, const std::string& where);

// The checkpoint's tensor of a name that TensorsOf gives; missing: an error that names the directory.
const TensorView& FindTensor(const Checkpoint& checkpoint, const ModelSpec& spec, const std::string& name);

// A copy of the view's bytes as a tensor of `dtype` (floating types only), checked against `shape`.
at::Tensor ToTensor(const TensorView& view, const std::vector<int64_t>& shape, at::ScalarType dtype,
                    const std::string& where);

// Writes tensors to a safetensors file, cast to `store`, atomically.
void WriteTensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors, at::ScalarType store);

// "auto" (bf16 where the processor multiplies it in hardware, else fp32), "fp32" or "bf16".
at::ScalarType ChooseDType(const std::string& name);

}  // namespace nla
