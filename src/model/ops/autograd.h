// An operation with a gradient of its own, as one node of autograd's graph. Only autograd.cc reads libtorch's autograd
// headers, which cost every source that does 20 seconds.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace nla::ops {

using Tensors = std::vector<at::Tensor>;

struct ForwardResult {
  Tensors outputs;
  Tensors saved;  // what the gradient needs: inputs, outputs, and tensors in between; undefined ones are kept as such
};

// Runs without recording; the inputs reach it by capture.
using Forward = std::function<ForwardResult()>;
// From `saved` and the outputs' gradients, one gradient per input; undefined where an input wants none. Captures no
// tensor: autograd frees and checks only those that it was given to save.
using Backward = std::function<Tensors(const Tensors& saved, const Tensors& grads)>;

// The forward's outputs. The node is left out when no input wants a gradient. `inputs` are all tensors that may want
// one; undefined ones are allowed.
Tensors Differentiable(const Tensors& inputs, const Forward& forward, Backward backward);

}  // namespace nla::ops
