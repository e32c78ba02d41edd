// The arithmetic of RMSNorm on one row and of its gradient on many, shared by the kernels that hold a norm.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "model/ops/rows.h"

namespace nla::ops {

template <typename X>
float ReciprocalRms(const X* x, int64_t d, double eps) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < d; ++i) sum += ToFloat(x[i]) * ToFloat(x[i]);
  return 1.0F / std::sqrt(sum / static_cast<float>(d) + static_cast<float>(eps));
}

// y = x · rstd · (offset + weight).
template <typename X, typename Y>
void NormRow(const X* x, const float* weight, Y* y, int64_t d, float rstd, float offset) {
  for (int64_t i = 0; i < d; ++i) y[i] = FromFloat<Y>(ToFloat(x[i]) * rstd * (offset + weight[i]));
}

// What the forward pass knew: x of any shape whose last dimension is the norm's width, weight [d], one rstd a row.
struct NormedRows {
  const at::Tensor& x;
  const at::Tensor& weight;
  const at::Tensor& rstd;
  float offset;
};

// dx = rstd·(g·w − x·rstd²·mean(g·w·x)) in x's dtype, where w = offset + weight. Also the weight's gradient when
// wanted, summed row by row on one thread. `grad` is contiguous, of element type G.
template <typename G, typename X>
at::Tensor NormBackward(const at::Tensor& grad, const NormedRows& rows, at::Tensor* grad_weight) {
  const int64_t d = rows.weight.size(0);
  const int64_t count = rows.x.numel() / d;
  const float offset = rows.offset;
  at::Tensor grad_x = at::empty_like(rows.x);
  const G* grad_data = grad.const_data_ptr<G>();
  const X* x_data = rows.x.const_data_ptr<X>();
  const float* weight_data = rows.weight.const_data_ptr<float>();
  const float* rstd_data = rows.rstd.const_data_ptr<float>();
  X* grad_x_data = grad_x.mutable_data_ptr<X>();
  ForRows(count, d, [&](int64_t row) {
    const G* g = grad_data + row * d;
    const X* x = x_data + row * d;
    X* out = grad_x_data + row * d;
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < d; ++i) dot += ToFloat(g[i]) * (offset + weight_data[i]) * ToFloat(x[i]);
    const float r = rstd_data[row];
    const float pull = dot * r * r / static_cast<float>(d);
    for (int64_t i = 0; i < d; ++i) {
      out[i] = FromFloat<X>(r * (ToFloat(g[i]) * (offset + weight_data[i]) - ToFloat(x[i]) * pull));
    }
  });
  if (grad_weight != nullptr) {
    *grad_weight = at::zeros({d}, rows.weight.options());
    float* sum = grad_weight->mutable_data_ptr<float>();
    for (int64_t row = 0; row < count; ++row) {
      const G* g = grad_data + row * d;
      const X* x = x_data + row * d;
      for (int64_t i = 0; i < d; ++i) sum[i] += ToFloat(g[i]) * ToFloat(x[i]) * rstd_data[row];
    }
  }
  return grad_x;
}

}  // namespace nla::ops
