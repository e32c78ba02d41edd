// Rope forward and backward (the backward is the rotation by the opposite angle).
#include "model/ops/rope.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "model/ops/rows.h"

namespace nla::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using torch::autograd::Variable;

at::Tensor Rotate(const at::Tensor& x, const at::Tensor& positions, const at::Tensor& cos, const at::Tensor& sin,
                  float direction) {
  at::Tensor out = at::empty_like(x);
  const int64_t heads = x.size(1);
  const int64_t d = x.size(2);
  const int64_t half = d / 2;
  const int64_t* position = positions.const_data_ptr<int64_t>();
  const float* cos_data = cos.const_data_ptr<float>();
  const float* sin_data = sin.const_data_ptr<float>();
  DispatchCompute(x.scalar_type(), [&](auto t) {
    using T = decltype(t);
    const T* in = x.const_data_ptr<T>();
    T* to = out.mutable_data_ptr<T>();
    ForRows(x.size(0), heads * d, [&](int64_t row) {
      const float* c = cos_data + position[row] * half;
      const float* s = sin_data + position[row] * half;
      for (int64_t head = 0; head < heads; ++head) {
        const T* a = in + (row * heads + head) * d;
        T* b = to + (row * heads + head) * d;
        for (int64_t i = 0; i < half; ++i) {
          const float low = ToFloat(a[i]);
          const float high = ToFloat(a[i + half]);
          b[i] = FromFloat<T>(low * c[i] - high * s[i] * direction);
          b[i + half] = FromFloat<T>(high * c[i] + low * s[i] * direction);
        }
      }
    });
  });
  return out;
}

struct RopeFunction : torch::autograd::Function<RopeFunction> {
  static Variable forward(AutogradContext* ctx, const Variable& x, const Variable& positions, const Variable& cos,
                          const Variable& sin) {
    ctx->save_for_backward({positions, cos, sin});
    return Rotate(x, positions, cos, sin, 1);
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto saved = ctx->get_saved_variables();
    return {Rotate(grads[0].contiguous(), saved[0], saved[1], saved[2], -1), {}, {}, {}};
  }
};

}  // namespace

std::pair<at::Tensor, at::Tensor> RopeTables(int64_t positions, int64_t d_head, double theta) {
  const int64_t half = d_head / 2;
  at::Tensor cos = at::empty({positions, half}, at::kFloat);
  at::Tensor sin = at::empty({positions, half}, at::kFloat);
  float* cos_data = cos.mutable_data_ptr<float>();
  float* sin_data = sin.mutable_data_ptr<float>();
  for (int64_t i = 0; i < half; ++i) {
    // fp32 frequencies and angles, as transformers computes them.
    const float frequency =
        1.0F / std::pow(static_cast<float>(theta), static_cast<float>(2 * i) / static_cast<float>(d_head));
    for (int64_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(p) * frequency;
      cos_data[p * half + i] = std::cos(angle);
      sin_data[p * half + i] = std::sin(angle);
    }
  }
  return {cos, sin};
}

at::Tensor Rope(const at::Tensor& x_THd, const at::Tensor& positions_T, const at::Tensor& cos, const at::Tensor& sin) {
  return RopeFunction::apply(x_THd.contiguous(), positions_T, cos, sin);
}

}  // namespace nla::ops
