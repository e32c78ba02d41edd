// Tensors from what a trainer prepared on the host: one copy a micro-batch, no per-row operations.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace nla {

at::Tensor IndexTensor(const std::vector<int64_t>& values);           // int64 [n]
at::Tensor RowsTensor(std::span<const std::span<const float>> rows);  // fp32 [n, d]; rows of equal width

}  // namespace nla
