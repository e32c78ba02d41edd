// Small pieces that the row kernels share: element conversion, a vectorisable exp, and a parallel loop over rows.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/fail.h"

namespace nla::ops {

inline float ToFloat(float x) { return x; }
inline float ToFloat(c10::BFloat16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.x) << 16); }

template <typename T>
inline T FromFloat(float x);
template <>
inline float FromFloat<float>(float x) {
  return x;
}
// Round to nearest even; NaN stays NaN. Written without branches so that loops over rows vectorise.
template <>
inline c10::BFloat16 FromFloat<c10::BFloat16>(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const uint32_t quiet = (bits >> 16) | 0x40;
  const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
  return c10::BFloat16(static_cast<uint16_t>(is_nan ? quiet : rounded), c10::BFloat16::from_bits());
}

// exp for x <= 88, relative error below 3e-7; 0 below -87. The polynomial is the Taylor series of 2^f, |f| <= 1/2.
inline float Exp(float x) {
  const float clamped = x < -87.0F ? -87.0F : (x > 88.0F ? 88.0F : x);
  const float scaled = clamped * 1.44269504088896341F;
  const float whole = __builtin_floorf(scaled + 0.5F);
  const float f = (scaled - whole) * 0.69314718055994531F;
  float p = 1.0F / 5040;
  p = p * f + 1.0F / 720;
  p = p * f + 1.0F / 120;
  p = p * f + 1.0F / 24;
  p = p * f + 1.0F / 6;
  p = p * f + 0.5F;
  p = p * f + 1.0F;
  p = p * f + 1.0F;
  const float power = std::bit_cast<float>((static_cast<int32_t>(whole) + 127) << 23);
  return x < -87.0F ? 0.0F : p * power;
}

// Rows are handed out in runs worth at least this many elements, so that small batches stay on one thread.
inline constexpr int64_t kElementsPerTask = 16384;

template <typename Body>
void ForRows(int64_t rows, int64_t elements_per_row, const Body& body) {
  const int64_t grain = std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, elements_per_row));
  at::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

// Calls body with a value of the tensor's element type: fp32 or bf16, the two compute dtypes.
template <typename Body>
void DispatchCompute(at::ScalarType dtype, const Body& body) {
  if (dtype == at::kFloat) {
    body(float{});
  } else {
    NLA_CHECK(dtype == at::kBFloat16);
    body(c10::BFloat16{});
  }
}

}  // namespace nla::ops
