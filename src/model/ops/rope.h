// Rotary position embedding, the half-split form of Hugging Face checkpoints, alone and after a norm of every head;
// both differentiable.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

#include "model/ops/rms_norm.h"

namespace nla::ops {

// Row t turns by the angles of row positions_T[t] of the tables.
struct RopeAngles {
  at::Tensor positions_T;  // int64
  at::Tensor cos, sin;     // [positions, d/2], fp32
};

// {cos, sin}, each [positions, d/2] fp32: angle = position · frequencies[i].
std::pair<at::Tensor, at::Tensor> RopeTables(int64_t positions, const std::vector<float>& frequencies);

// Rotates x_THd (any number of heads) row by row.
at::Tensor Rope(const at::Tensor& x_THd, const RopeAngles& angles);

// RMSNorm of every head of every row by weight_d (fp32), then the rotation; rounded once.
at::Tensor NormRope(const at::Tensor& x_THd, const at::Tensor& weight_d, const NormOptions& options,
                    const RopeAngles& angles);

}  // namespace nla::ops
