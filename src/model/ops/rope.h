// Rotary position embedding, the half-split form of Hugging Face checkpoints, differentiable.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace nla::ops {

// {cos, sin}, each [positions, d/2] fp32: angle = position · theta^(−2i/d).
std::pair<at::Tensor, at::Tensor> RopeTables(int64_t positions, int64_t d_head, double theta);

// Rotates x_THd (any number of heads) row by row to positions_T (int64).
at::Tensor Rope(const at::Tensor& x_THd, const at::Tensor& positions_T, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace nla::ops
