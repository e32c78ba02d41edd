// RMSNorm of the residual stream, alone and fused with the addition before it; both differentiable.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace nla::ops {

// y = x / sqrt(mean(x²) + eps) · weight, rounded once to `dtype`. x fp32 [T, D], weight fp32 [D].
at::Tensor RmsNorm(const at::Tensor& x_TD, const at::Tensor& weight_D, double eps, at::ScalarType dtype);

// {residual + delta (fp32), RmsNorm of it}. delta is in the compute dtype, which the second output has too.
std::pair<at::Tensor, at::Tensor> AddRmsNorm(const at::Tensor& residual_TD, const at::Tensor& delta_TD,
                                             const at::Tensor& weight_D, double eps);

}  // namespace nla::ops
