// Rope forward and backward (the backward is the rotation by the opposite angle), and the same behind a norm.
#include "model/ops/rope.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

#include "model/ops/autograd.h"
#include "model/ops/norm_rows.h"

namespace nla::ops {
namespace {

// out = the rotation of x, row by row; `value(row and head, i)` gives x's elements in fp32.
template <typename To, typename Value>
void RotateRows(at::Tensor& out, const RopeAngles& angles, float direction, const Value& value_of) {
  const int64_t heads = out.size(1);
  const int64_t d = out.size(2);
  const int64_t half = d / 2;
  const int64_t* position = angles.positions_T.const_data_ptr<int64_t>();
  const float* cos_data = angles.cos.const_data_ptr<float>();
  const float* sin_data = angles.sin.const_data_ptr<float>();
  To* to = out.mutable_data_ptr<To>();
  ForRows(out.size(0), heads * d, [&](int64_t row) {
    const float* c = cos_data + position[row] * half;
    const float* s = sin_data + position[row] * half;
    for (int64_t head = row * heads; head < (row + 1) * heads; ++head) {
      const auto value = value_of(head);
      To* b = to + head * d;
      for (int64_t i = 0; i < half; ++i) {
        const float low = value(i);
        const float high = value(i + half);
        b[i] = FromFloat<To>(low * c[i] - high * s[i] * direction);
        b[i + half] = FromFloat<To>(high * c[i] + low * s[i] * direction);
      }
    }
  });
}

template <typename From, typename To>
void Rotate(const at::Tensor& x, at::Tensor& out, const RopeAngles& angles, float direction) {
  const From* in = x.const_data_ptr<From>();
  const int64_t d = x.size(2);
  RotateRows<To>(out, angles, direction,
                 [&](int64_t head) { return [a = in + head * d](int64_t i) { return ToFloat(a[i]); }; });
}

// The norm of x times (offset + weight), turned; and the norm's reciprocals [T·H].
std::pair<at::Tensor, at::Tensor> NormRotate(const at::Tensor& x, const at::Tensor& weight, const NormOptions& options,
                                             const RopeAngles& angles) {
  const int64_t d = x.size(2);
  const auto offset = static_cast<float>(options.offset);
  at::Tensor out = at::empty_like(x);
  at::Tensor rstd = at::empty({x.size(0) * x.size(1)}, weight.options());
  float* rstd_data = rstd.mutable_data_ptr<float>();
  const float* w = weight.const_data_ptr<float>();
  DispatchCompute(x.scalar_type(), [&](auto t) {
    using T = decltype(t);
    const T* in = x.const_data_ptr<T>();
    RotateRows<T>(out, angles, 1, [&](int64_t head) {
      const T* a = in + head * d;
      const float r = rstd_data[head] = ReciprocalRms(a, d, options.eps);
      return [a, r, w, offset](int64_t i) { return ToFloat(a[i]) * r * (offset + w[i]); };
    });
  });
  return {out, rstd};
}

}  // namespace

std::pair<at::Tensor, at::Tensor> RopeTables(int64_t positions, const std::vector<float>& frequencies) {
  const auto half = static_cast<int64_t>(frequencies.size());
  at::Tensor cos = at::empty({positions, half}, at::kFloat);
  at::Tensor sin = at::empty({positions, half}, at::kFloat);
  float* cos_data = cos.mutable_data_ptr<float>();
  float* sin_data = sin.mutable_data_ptr<float>();
  ForRows(positions, 16 * half, [&](int64_t p) {
    for (int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(p) * frequencies[i];  // in fp32, as transformers computes it
      cos_data[p * half + i] = std::cos(angle);
      sin_data[p * half + i] = std::sin(angle);
    }
  });
  return {cos, sin};
}

at::Tensor Rope(const at::Tensor& x_THd, const RopeAngles& angles) {
  const at::Tensor x = x_THd.contiguous();
  const auto rotated = [](const at::Tensor& from, const RopeAngles& by, float direction) {
    at::Tensor out = at::empty_like(from);
    DispatchCompute(from.scalar_type(), [&](auto t) { Rotate<decltype(t), decltype(t)>(from, out, by, direction); });
    return out;
  };
  const auto forward = [&]() -> ForwardResult {
    return {{rotated(x, angles, 1)}, {angles.positions_T, angles.cos, angles.sin}};
  };
  const auto backward = [rotated](const Tensors& saved, const Tensors& grads) -> Tensors {
    return {rotated(grads[0].contiguous(), {saved[0], saved[1], saved[2]}, -1)};
  };
  return Differentiable({x}, forward, backward)[0];
}

at::Tensor NormRope(const at::Tensor& x_THd, const at::Tensor& weight_d, const NormOptions& options,
                    const RopeAngles& angles) {
  const at::Tensor x = x_THd.contiguous();
  const auto forward = [&]() -> ForwardResult {
    const auto [out, rstd] = NormRotate(x, weight_d, options, angles);
    return {{out}, {x, weight_d, rstd, angles.positions_T, angles.cos, angles.sin}};
  };
  // The gradient turns back in fp32, then passes the norm.
  const auto backward = [offset = static_cast<float>(options.offset)](const Tensors& saved,
                                                                      const Tensors& grads) -> Tensors {
    const NormedRows rows{saved[0], saved[1], saved[2], offset};
    const at::Tensor grad = grads[0].contiguous();
    at::Tensor turned = at::empty(grad.sizes(), grad.options().dtype(at::kFloat));
    at::Tensor grad_x;
    at::Tensor grad_weight;
    DispatchCompute(grad.scalar_type(), [&](auto t) {
      using T = decltype(t);
      Rotate<T, float>(grad, turned, {saved[3], saved[4], saved[5]}, -1);
      grad_x = NormBackward<float, T>(turned, rows, rows.weight.requires_grad() ? &grad_weight : nullptr);
    });
    return {grad_x, grad_weight};
  };
  return Differentiable({x, weight_d}, forward, backward)[0];
}

}  // namespace nla::ops
