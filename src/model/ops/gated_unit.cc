// Gated units forward and backward; gated_row.h has the activations. The backward computes them again from gate and up.
#include "model/ops/gated_unit.h"

#include <ATen/ops/empty_like.h>

#include "model/ops/autograd.h"
#include "model/ops/gated_row.h"
#include "model/ops/rows.h"

namespace nla::ops {
namespace {

template <typename T, typename Act>
void ForwardRows(const at::Tensor& gate, const at::Tensor& up, at::Tensor& out) {
  const int64_t width = gate.size(1);
  const T* g = gate.const_data_ptr<T>();
  const T* u = up.const_data_ptr<T>();
  T* o = out.mutable_data_ptr<T>();
  ForRows(gate.size(0), width, [&](int64_t row) {
    for (int64_t i = row * width; i < (row + 1) * width; ++i) {
      const float x = ToFloat(g[i]);
      o[i] = FromFloat<T>(x / (1.0F + Exp(-Act::Inner(x))) * ToFloat(u[i]));
    }
  });
}

struct GateGradients {
  at::Tensor gate, up;
};

template <typename T, typename Act>
void BackwardRows(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& grad, GateGradients& out) {
  const int64_t width = grad.size(1);
  const T* g = gate.const_data_ptr<T>();
  const T* u = up.const_data_ptr<T>();
  const T* dy = grad.const_data_ptr<T>();
  T* dg = out.gate.mutable_data_ptr<T>();
  T* du = out.up.mutable_data_ptr<T>();
  ForRows(grad.size(0), width, [&](int64_t row) {
    for (int64_t i = row * width; i < (row + 1) * width; ++i) {
      const float x = ToFloat(g[i]);
      const float sigmoid = 1.0F / (1.0F + Exp(-Act::Inner(x)));
      const float d = ToFloat(dy[i]);
      du[i] = FromFloat<T>(d * x * sigmoid);
      dg[i] = FromFloat<T>(d * ToFloat(u[i]) * sigmoid * (1.0F + x * (1.0F - sigmoid) * Act::Slope(x)));
    }
  });
}

// Calls body with an element type and an activation.
template <typename Body>
void Dispatch(at::ScalarType dtype, Activation activation, const Body& body) {
  DispatchCompute(dtype, [&](auto t) {
    if (activation == Activation::kSilu) {
      body(t, Silu{});
    } else {
      body(t, GeluTanh{});
    }
  });
}

}  // namespace

at::Tensor GatedUnit(const at::Tensor& gate_TF, const at::Tensor& up_TF, Activation activation) {
  const at::Tensor gate = gate_TF.contiguous();
  const at::Tensor up = up_TF.contiguous();
  const auto forward = [&]() -> ForwardResult {
    at::Tensor out = at::empty_like(gate);
    Dispatch(gate.scalar_type(), activation,
             [&](auto t, auto act) { ForwardRows<decltype(t), decltype(act)>(gate, up, out); });
    return {{out}, {gate, up}};
  };
  const auto backward = [activation](const Tensors& saved, const Tensors& grads) -> Tensors {
    const at::Tensor grad = grads[0].contiguous();
    GateGradients out{at::empty_like(saved[0]), at::empty_like(saved[1])};
    Dispatch(grad.scalar_type(), activation,
             [&](auto t, auto act) { BackwardRows<decltype(t), decltype(act)>(saved[0], saved[1], grad, out); });
    return {out.gate, out.up};
  };
  return Differentiable({gate, up}, forward, backward)[0];
}

}  // namespace nla::ops
