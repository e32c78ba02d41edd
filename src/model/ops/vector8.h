// Eight floats at once, by the compiler's vector types: one AVX register on x86, two elsewhere.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <cstring>

namespace nla::ops {

using Floats8 = float __attribute__((vector_size(32)));
using Integers8 = int32_t __attribute__((vector_size(32)));
using Words8 = uint32_t __attribute__((vector_size(32)));
using Halves8 = uint16_t __attribute__((vector_size(16)));

inline Words8 LoadWords8(const uint32_t* at) {
  Words8 out;
  std::memcpy(&out, at, sizeof(out));
  return out;
}

inline Floats8 Load8(const float* at) {
  Floats8 out;
  std::memcpy(&out, at, sizeof(out));
  return out;
}

inline Floats8 Load8(const c10::BFloat16* at) {
  Halves8 halves;
  std::memcpy(&halves, at, sizeof(halves));
  return __builtin_bit_cast(Floats8, __builtin_convertvector(halves, Words8) << 16);
}

inline Floats8 Load8(const int32_t* at) {
  Integers8 out;
  std::memcpy(&out, at, sizeof(out));
  return __builtin_convertvector(out, Floats8);
}

inline void Store8(const Floats8& value, float* at) { std::memcpy(at, &value, sizeof(value)); }

// Sums of sixteen products for each of kRows rows. Members one inside the other, not an array: what the compiler can
// number it keeps in registers.
template <int kRows>
struct RowSums {
  Floats8 low = {};
  Floats8 high = {};
  RowSums<kRows - 1> rest;

  // Adds the sixteen times one factor a row; factors lie `stride` apart.
  [[gnu::always_inline]] void Add(const Floats8& first, const Floats8& second, const float* factor, int64_t stride) {
    low += first * *factor;
    high += second * *factor;
    rest.Add(first, second, factor + stride, stride);
  }
  [[gnu::always_inline]] void Store(float* out, int64_t stride) const {
    Store8(low, out);
    Store8(high, out + 8);
    rest.Store(out + stride, stride);
  }
};

template <>
struct RowSums<0> {
  void Add(const Floats8& /*first*/, const Floats8& /*second*/, const float* /*factor*/, int64_t /*stride*/) {}
  void Store(float* /*out*/, int64_t /*stride*/) const {}
};

}  // namespace nla::ops
