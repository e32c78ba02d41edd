// The gated unit of the feed-forward layer, differentiable.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/spec.h"

namespace nla::ops {

// activation(gate) · up, element by element in fp32, rounded once. Both [T, F] in the compute dtype.
at::Tensor GatedUnit(const at::Tensor& gate_TF, const at::Tensor& up_TF, Activation activation);

}  // namespace nla::ops
