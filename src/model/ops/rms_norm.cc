// RMSNorm forward and backward in fp32, one pass a row; threads take runs of rows, so results do not depend on them.
#include "model/ops/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "model/ops/autograd.h"
#include "model/ops/norm_rows.h"

namespace nla::ops {
namespace {

// Fills y and rstd from x.
template <typename T>
void ForwardRows(const at::Tensor& x, const at::Tensor& weight, const NormOptions& options, at::Tensor& y,
                 at::Tensor& rstd) {
  const int64_t d = x.size(1);
  const auto offset = static_cast<float>(options.offset);
  const float* x_data = x.const_data_ptr<float>();
  const float* weight_data = weight.const_data_ptr<float>();
  T* y_data = y.mutable_data_ptr<T>();
  float* rstd_data = rstd.mutable_data_ptr<float>();
  ForRows(x.size(0), d, [&](int64_t row) {
    rstd_data[row] = ReciprocalRms(x_data + row * d, d, options.eps);
    NormRow(x_data + row * d, weight_data, y_data + row * d, d, rstd_data[row], offset);
  });
}

// Outputs of the fused forward pass; the last is undefined without a norm of delta.
struct AddedRows {
  at::Tensor sum, y, rstd, delta_rstd;
};

template <typename T>
void AddRows(const at::Tensor& residual, const at::Tensor& delta, const at::Tensor& post, const at::Tensor& weight,
             const NormOptions& options, AddedRows& out) {
  const int64_t d = residual.size(1);
  const auto offset = static_cast<float>(options.offset);
  const T* delta_data = delta.const_data_ptr<T>();
  const float* residual_data = residual.const_data_ptr<float>();
  const float* weight_data = weight.const_data_ptr<float>();
  const float* post_data = post.defined() ? post.const_data_ptr<float>() : nullptr;
  float* delta_rstd_data = post.defined() ? out.delta_rstd.mutable_data_ptr<float>() : nullptr;
  float* sum_data = out.sum.mutable_data_ptr<float>();
  T* y_data = out.y.mutable_data_ptr<T>();
  float* rstd_data = out.rstd.mutable_data_ptr<float>();
  ForRows(residual.size(0), d, [&](int64_t row) {
    const float* r = residual_data + row * d;
    const T* x = delta_data + row * d;
    float* s = sum_data + row * d;
    if (post_data == nullptr) {
      for (int64_t i = 0; i < d; ++i) s[i] = r[i] + ToFloat(x[i]);
    } else {
      const float scale = delta_rstd_data[row] = ReciprocalRms(x, d, options.eps);
      for (int64_t i = 0; i < d; ++i) s[i] = r[i] + ToFloat(x[i]) * scale * (offset + post_data[i]);
    }
    rstd_data[row] = ReciprocalRms(s, d, options.eps);
    NormRow(s, weight_data, y_data + row * d, d, rstd_data[row], offset);
  });
}

// Gradients of AddRmsNorm's four inputs.
Tensors AddRmsNormBackward(const Tensors& saved, const Tensors& grads, at::ScalarType dtype, float offset) {
  at::Tensor grad_weight;
  at::Tensor grad_sum;
  if (grads[1].defined()) {
    const at::Tensor grad = grads[1].contiguous();
    DispatchCompute(dtype, [&](auto t) {
      grad_sum = NormBackward<decltype(t), float>(grad, {saved[0], saved[1], saved[2], offset},
                                                  saved[1].requires_grad() ? &grad_weight : nullptr);
    });
    if (grads[0].defined()) grad_sum.add_(grads[0]);
  } else {
    grad_sum = grads[0].contiguous();
  }
  if (saved.size() == 3) return {grad_sum, grad_sum.to(dtype), {}, grad_weight};
  at::Tensor grad_delta;
  at::Tensor grad_post;
  DispatchCompute(dtype, [&](auto t) {
    grad_delta = NormBackward<float, decltype(t)>(grad_sum, {saved[3], saved[4], saved[5], offset},
                                                  saved[4].requires_grad() ? &grad_post : nullptr);
  });
  return {grad_sum, grad_delta, grad_post, grad_weight};
}

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x_TD, const at::Tensor& weight_D, const NormOptions& options,
                   at::ScalarType dtype) {
  const at::Tensor x = x_TD.contiguous();
  const auto forward = [&]() -> ForwardResult {
    at::Tensor y = at::empty(x.sizes(), x.options().dtype(dtype));
    at::Tensor rstd = at::empty({x.size(0)}, x.options());
    DispatchCompute(dtype, [&](auto t) { ForwardRows<decltype(t)>(x, weight_D, options, y, rstd); });
    return {{y}, {x, weight_D, rstd}};
  };
  const auto backward = [offset = static_cast<float>(options.offset)](const Tensors& saved,
                                                                      const Tensors& grads) -> Tensors {
    const NormedRows rows{saved[0], saved[1], saved[2], offset};
    const at::Tensor grad = grads[0].contiguous();
    at::Tensor grad_weight;
    at::Tensor grad_x;
    DispatchCompute(grad.scalar_type(), [&](auto t) {
      grad_x = NormBackward<decltype(t), float>(grad, rows, rows.weight.requires_grad() ? &grad_weight : nullptr);
    });
    return {grad_x, grad_weight};
  };
  return Differentiable({x, weight_D}, forward, backward)[0];
}

std::pair<at::Tensor, at::Tensor> AddRmsNorm(const at::Tensor& residual_TD, const at::Tensor& delta_TD,
                                             const at::Tensor& post_D, const at::Tensor& weight_D,
                                             const NormOptions& options) {
  const at::Tensor residual = residual_TD.contiguous();
  const at::Tensor delta = delta_TD.contiguous();
  const at::ScalarType dtype = delta.scalar_type();
  const auto forward = [&]() -> ForwardResult {
    AddedRows out{at::empty_like(residual), at::empty_like(delta), at::empty({residual.size(0)}, residual.options()),
                  post_D.defined() ? at::empty({residual.size(0)}, residual.options()) : at::Tensor()};
    DispatchCompute(dtype, [&](auto t) { AddRows<decltype(t)>(residual, delta, post_D, weight_D, options, out); });
    Tensors saved = {out.sum, weight_D, out.rstd};
    if (post_D.defined()) saved.insert(saved.end(), {delta, post_D, out.delta_rstd});
    return {{out.sum, out.y}, saved};
  };
  const auto backward = [dtype, offset = static_cast<float>(options.offset)](const Tensors& saved,
                                                                             const Tensors& grads) {
    return AddRmsNormBackward(saved, grads, dtype, offset);
  };
  const Tensors out = Differentiable({residual, delta, post_D, weight_D}, forward, backward);
  return {out[0], out[1]};
}

at::Tensor Add(const at::Tensor& residual_TD, const at::Tensor& delta_TD, const at::Tensor& post_D,
               const NormOptions& options) {
  if (!post_D.defined()) return residual_TD + delta_TD;
  return residual_TD + RmsNorm(delta_TD.to(at::kFloat), post_D, options, at::kFloat);
}

}  // namespace nla::ops
