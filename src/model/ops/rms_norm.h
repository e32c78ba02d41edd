// RMSNorm of the residual stream, alone and fused with the addition before it; all differentiable.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace nla::ops {

struct NormOptions {
  double eps = 0;
  double offset = 0;  // the factor is offset + weight
};

// y = x / sqrt(mean(x²) + eps) · (offset + weight), rounded once to `dtype`. x fp32 [T, D], weight fp32 [D].
at::Tensor RmsNorm(const at::Tensor& x_TD, const at::Tensor& weight_D, const NormOptions& options,
                   at::ScalarType dtype);

// {residual + delta (fp32), RmsNorm of it}. delta is in the compute dtype, which the second output has too. Where
// `post_D` is defined, delta is normed by it, in fp32, before it is added.
std::pair<at::Tensor, at::Tensor> AddRmsNorm(const at::Tensor& residual_TD, const at::Tensor& delta_TD,
                                             const at::Tensor& post_D, const at::Tensor& weight_D,
                                             const NormOptions& options);

// residual + RmsNorm(delta, post), or + delta where `post_D` is undefined: the end of the last block.
at::Tensor Add(const at::Tensor& residual_TD, const at::Tensor& delta_TD, const at::Tensor& post_D,
               const NormOptions& options);

}  // namespace nla::ops
