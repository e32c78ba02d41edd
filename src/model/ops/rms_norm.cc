// RMSNorm forward and backward in fp32, one pass a row; threads take runs of rows, so results do not depend on them.
#include "model/ops/rms_norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "model/ops/rows.h"

namespace nla::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using torch::autograd::Variable;

template <typename T>
void NormRow(const float* x, const float* weight, T* y, int64_t d, float rstd) {
  for (int64_t i = 0; i < d; ++i) y[i] = FromFloat<T>(x[i] * rstd * weight[i]);
}

float ReciprocalRms(const float* x, int64_t d, double eps) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < d; ++i) sum += x[i] * x[i];
  return 1.0F / std::sqrt(sum / static_cast<float>(d) + static_cast<float>(eps));
}

// Fills y and rstd from x, after adding delta to the residual where there is one.
template <typename T>
void ForwardRows(const at::Tensor& x, const at::Tensor& weight, double eps, at::Tensor& y, at::Tensor& rstd) {
  const int64_t d = x.size(1);
  const float* x_data = x.const_data_ptr<float>();
  const float* weight_data = weight.const_data_ptr<float>();
  T* y_data = y.mutable_data_ptr<T>();
  float* rstd_data = rstd.mutable_data_ptr<float>();
  ForRows(x.size(0), d, [&](int64_t row) {
    rstd_data[row] = ReciprocalRms(x_data + row * d, d, eps);
    NormRow(x_data + row * d, weight_data, y_data + row * d, d, rstd_data[row]);
  });
}

// dx = rstd·(g·w − x·rstd²·mean(g·w·x)); also the weight's gradient when wanted, summed row by row on one thread.
template <typename T>
at::Tensor BackwardRows(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& rstd,
                        at::Tensor* grad_weight) {
  const int64_t rows = x.size(0);
  const int64_t d = x.size(1);
  at::Tensor grad_x = at::empty_like(x);
  const at::Tensor grad = grad_y.contiguous();
  const T* grad_data = grad.const_data_ptr<T>();
  const float* x_data = x.const_data_ptr<float>();
  const float* weight_data = weight.const_data_ptr<float>();
  const float* rstd_data = rstd.const_data_ptr<float>();
  float* grad_x_data = grad_x.mutable_data_ptr<float>();
  ForRows(rows, d, [&](int64_t row) {
    const T* g = grad_data + row * d;
    const float* xr = x_data + row * d;
    float* out = grad_x_data + row * d;
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < d; ++i) dot += ToFloat(g[i]) * weight_data[i] * xr[i];
    const float r = rstd_data[row];
    const float pull = dot * r * r / static_cast<float>(d);
    for (int64_t i = 0; i < d; ++i) out[i] = r * (ToFloat(g[i]) * weight_data[i] - xr[i] * pull);
  });
  if (grad_weight != nullptr) {
    *grad_weight = at::zeros({d}, x.options());
    float* sum = grad_weight->mutable_data_ptr<float>();
    for (int64_t row = 0; row < rows; ++row) {
      const T* g = grad_data + row * d;
      const float* xr = x_data + row * d;
      for (int64_t i = 0; i < d; ++i) sum[i] += ToFloat(g[i]) * xr[i] * rstd_data[row];
    }
  }
  return grad_x;
}

struct RmsNormFunction : torch::autograd::Function<RmsNormFunction> {
  static Variable forward(AutogradContext* ctx, const Variable& x, const Variable& weight, double eps, int64_t dtype) {
    const auto scalar = static_cast<at::ScalarType>(dtype);
    at::Tensor y = at::empty(x.sizes(), x.options().dtype(scalar));
    at::Tensor rstd = at::empty({x.size(0)}, x.options());
    DispatchCompute(scalar, [&](auto t) { ForwardRows<decltype(t)>(x, weight, eps, y, rstd); });
    ctx->save_for_backward({x, weight, rstd});
    return y;
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto saved = ctx->get_saved_variables();
    at::Tensor grad_weight;
    at::Tensor grad_x;
    DispatchCompute(grads[0].scalar_type(), [&](auto t) {
      grad_x = BackwardRows<decltype(t)>(grads[0], saved[0], saved[1], saved[2],
                                         saved[1].requires_grad() ? &grad_weight : nullptr);
    });
    return {grad_x, grad_weight, {}, {}};
  }
};

struct AddRmsNormFunction : torch::autograd::Function<AddRmsNormFunction> {
  static tensor_list forward(AutogradContext* ctx, const Variable& residual, const Variable& delta,
                             const Variable& weight, double eps) {
    at::Tensor sum = at::empty_like(residual);
    at::Tensor y = at::empty_like(delta);
    at::Tensor rstd = at::empty({residual.size(0)}, residual.options());
    const int64_t d = residual.size(1);
    DispatchCompute(delta.scalar_type(), [&](auto t) {
      using T = decltype(t);
      const T* delta_data = delta.const_data_ptr<T>();
      const float* residual_data = residual.const_data_ptr<float>();
      const float* weight_data = weight.const_data_ptr<float>();
      float* sum_data = sum.mutable_data_ptr<float>();
      T* y_data = y.mutable_data_ptr<T>();
      float* rstd_data = rstd.mutable_data_ptr<float>();
      ForRows(residual.size(0), d, [&](int64_t row) {
        float* s = sum_data + row * d;
        for (int64_t i = 0; i < d; ++i) s[i] = residual_data[row * d + i] + ToFloat(delta_data[row * d + i]);
        rstd_data[row] = ReciprocalRms(s, d, eps);
        NormRow(s, weight_data, y_data + row * d, d, rstd_data[row]);
      });
    });
    ctx->save_for_backward({sum, weight, rstd});
    ctx->saved_data["dtype"] = static_cast<int64_t>(delta.scalar_type());
    return {sum, y};
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const auto dtype = static_cast<at::ScalarType>(ctx->saved_data["dtype"].toInt());
    at::Tensor grad_weight;
    at::Tensor grad_sum;
    if (grads[1].defined()) {
      DispatchCompute(dtype, [&](auto t) {
        grad_sum = BackwardRows<decltype(t)>(grads[1], saved[0], saved[1], saved[2],
                                             saved[1].requires_grad() ? &grad_weight : nullptr);
      });
      if (grads[0].defined()) grad_sum.add_(grads[0]);
    } else {
      grad_sum = grads[0];
    }
    return {grad_sum, grad_sum.to(dtype), grad_weight, {}};
  }
};

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x_TD, const at::Tensor& weight_D, double eps, at::ScalarType dtype) {
  return RmsNormFunction::apply(x_TD.contiguous(), weight_D, eps, static_cast<int64_t>(dtype));
}

std::pair<at::Tensor, at::Tensor> AddRmsNorm(const at::Tensor& residual_TD, const at::Tensor& delta_TD,
                                             const at::Tensor& weight_D, double eps) {
  tensor_list out = AddRmsNormFunction::apply(residual_TD.contiguous(), delta_TD.contiguous(), weight_D, eps);
  return {out[0], out[1]};
}

}  // namespace nla::ops
