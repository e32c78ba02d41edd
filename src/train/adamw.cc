// The fused AdamW loop.
// Without errno the compiler may use the vector square root; nothing here looks at errno.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-math-errno")
#endif
#include "train/adamw.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "model/ops/rows.h"

namespace nla {
namespace {

struct Factors {
  float keep, beta1, beta2, rest1, rest2, step_size, root_correction, eps, gradient_scale;
};

struct Range {
  int64_t begin, end;
};

Factors FactorsOf(const AdamWStep& step) {
  const double correction1 = 1 - std::pow(step.beta1, static_cast<double>(step.step));
  const double correction2 = 1 - std::pow(step.beta2, static_cast<double>(step.step));
  return {.keep = static_cast<float>(1 - step.lr * step.weight_decay),
          .beta1 = static_cast<float>(step.beta1),
          .beta2 = static_cast<float>(step.beta2),
          .rest1 = static_cast<float>(1 - step.beta1),
          .rest2 = static_cast<float>(1 - step.beta2),
          .step_size = static_cast<float>(step.lr / correction1),
          .root_correction = static_cast<float>(1 / std::sqrt(correction2)),
          .eps = static_cast<float>(step.eps),
          .gradient_scale = static_cast<float>(step.gradient_scale)};
}

template <bool kHasLive, typename Grad>
void UpdateRange(const Factors& f, const AdamWArrays& arrays, const Grad* __restrict grad, Range range) {
  float* __restrict master = arrays.master;
  float* __restrict momentum = arrays.momentum;
  float* __restrict variance = arrays.variance;
  c10::BFloat16* __restrict live = arrays.live;
  for (int64_t i = range.begin; i < range.end; ++i) {
    const float g = ops::ToFloat(grad[i]) * f.gradient_scale;
    const float m = momentum[i] * f.beta1 + g * f.rest1;
    const float v = variance[i] * f.beta2 + g * g * f.rest2;
    const float root = __builtin_sqrtf(v) * f.root_correction + f.eps;
    const float value = master[i] * f.keep - f.step_size * (m / root);
    momentum[i] = m;
    variance[i] = v;
    master[i] = value;
    if constexpr (kHasLive) live[i] = ops::FromFloat<c10::BFloat16>(value);
  }
}

template <typename Grad>
void Update(const Factors& factors, const AdamWArrays& arrays, const Grad* grad) {
  at::parallel_for(0, arrays.size, ops::kElementsPerTask, [&](int64_t begin, int64_t end) {
    if (arrays.live != nullptr) {
      UpdateRange<true>(factors, arrays, grad, {begin, end});
    } else {
      UpdateRange<false>(factors, arrays, grad, {begin, end});
    }
  });
}

}  // namespace

void UpdateAdamW(const AdamWStep& step, const AdamWArrays& arrays) {
  const Factors factors = FactorsOf(step);
  if (arrays.grad_bf16 != nullptr) {  // NOLINT(bugprone-branch-clone): the types differ
    Update(factors, arrays, arrays.grad_bf16);
  } else {
    Update(factors, arrays, arrays.grad);
  }
}

}  // namespace nla
