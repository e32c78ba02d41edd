// SwiGLU forward and backward: the backward recomputes the sigmoid from gate and up, which are all that is kept.
#include "model/ops/swiglu.h"

#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/ops/rows.h"

namespace nla::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using torch::autograd::Variable;

struct SwiGluFunction : torch::autograd::Function<SwiGluFunction> {
  static Variable forward(AutogradContext* ctx, const Variable& gate, const Variable& up) {
    at::Tensor out = at::empty_like(gate);
    const int64_t width = gate.size(1);
    DispatchCompute(gate.scalar_type(), [&](auto t) {
      using T = decltype(t);
      const T* g = gate.const_data_ptr<T>();
      const T* u = up.const_data_ptr<T>();
      T* o = out.mutable_data_ptr<T>();
      ForRows(gate.size(0), width, [&](int64_t row) {
        for (int64_t i = row * width; i < (row + 1) * width; ++i) {
          const float x = ToFloat(g[i]);
          o[i] = FromFloat<T>(x / (1.0F + Exp(-x)) * ToFloat(u[i]));
        }
      });
    });
    ctx->save_for_backward({gate, up});
    return out;
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor grad = grads[0].contiguous();
    at::Tensor grad_gate = at::empty_like(saved[0]);
    at::Tensor grad_up = at::empty_like(saved[1]);
    const int64_t width = grad.size(1);
    DispatchCompute(grad.scalar_type(), [&](auto t) {
      using T = decltype(t);
      const T* g = saved[0].const_data_ptr<T>();
      const T* u = saved[1].const_data_ptr<T>();
      const T* dy = grad.const_data_ptr<T>();
      T* dg = grad_gate.mutable_data_ptr<T>();
      T* du = grad_up.mutable_data_ptr<T>();
      ForRows(grad.size(0), width, [&](int64_t row) {
        for (int64_t i = row * width; i < (row + 1) * width; ++i) {
          const float x = ToFloat(g[i]);
          const float sigmoid = 1.0F / (1.0F + Exp(-x));
          const float d = ToFloat(dy[i]);
          du[i] = FromFloat<T>(d * x * sigmoid);
          dg[i] = FromFloat<T>(d * ToFloat(u[i]) * sigmoid * (1.0F + x * (1.0F - sigmoid)));
        }
      });
    });
    return {grad_gate, grad_up};
  }
};

}  // namespace

at::Tensor SwiGlu(const at::Tensor& gate_TF, const at::Tensor& up_TF) {
  return SwiGluFunction::apply(gate_TF.contiguous(), up_TF.contiguous());
}

}  // namespace nla::ops
