// The arithmetic of gated units on runs of numbers, shared by the kernels that hold one. Both activations are
// x · sigmoid(z(x)): z = x is silu, and since (1 + tanh(u)) / 2 = sigmoid(2u), a cubic z is gelu in its tanh form.
#pragma once

#include <cstdint>

#include "model/ops/rows.h"
#include "model/spec.h"

namespace nla::ops {

struct Silu {
  static float Inner(float x) { return x; }
  static float Slope(float /*x*/) { return 1.0F; }
};

// z = 2 sqrt(2/π) (x + 0.044715 x³)
struct GeluTanh {
  static constexpr float kOuter = 1.59576912160573F;
  static constexpr float kCubic = 0.044715F;
  static float Inner(float x) { return kOuter * (x + kCubic * x * x * x); }
  static float Slope(float x) { return kOuter * (1.0F + 3 * kCubic * x * x); }
};

// out = activation(gate) · up; `out` may be one of them.
template <typename Act>
void GateRow(const float* gate, const float* up, float* out, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float x = gate[i];
    out[i] = x / (1.0F + Exp(-Act::Inner(x))) * up[i];
  }
}

inline void GateRow(const float* gate, const float* up, float* out, int64_t count, Activation activation) {
  if (activation == Activation::kSilu) {
    GateRow<Silu>(gate, up, out, count);
  } else {
    GateRow<GeluTanh>(gate, up, out, count);
  }
}

}  // namespace nla::ops
