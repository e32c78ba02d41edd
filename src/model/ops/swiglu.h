// The gated unit of the feed-forward layer, differentiable.
#pragma once

#include <ATen/core/Tensor.h>

namespace nla::ops {

// silu(gate) · up, element by element in fp32, rounded once. Both [T, F] in the compute dtype.
at::Tensor SwiGlu(const at::Tensor& gate_TF, const at::Tensor& up_TF);

}  // namespace nla::ops
