// AVX-512: a register holds all outputs of a panel; tiles of twelve rows. Compiled with -mavx512f.
#include "model/packed/float_kernels.h"

#if defined(__x86_64__)
namespace nla::packed {
namespace {

using Floats16 = float __attribute__((vector_size(64)));
using Words16 = uint32_t __attribute__((vector_size(64)));

template <typename Vector>
[[gnu::always_inline]] inline Vector LoadVector(const void* at) {
  Vector out;
  __builtin_memcpy(&out, at, sizeof(out));
  return out;
}

// Members one inside the other, not an array: what the compiler can number it keeps in registers.
template <int kCount>
struct RowSums16 {
  Floats16 sum = {};
  RowSums16<kCount - 1> rest;

  [[gnu::always_inline]] void Add(const Floats16& weights, const float* input, int64_t stride) {
    sum += weights * *input;
    rest.Add(weights, input + stride, stride);
  }
  [[gnu::always_inline]] void Store(float* out, int64_t stride) const {
    __builtin_memcpy(out, &sum, sizeof(sum));
    rest.Store(out + stride, stride);
  }
};

template <>
struct RowSums16<0> {
  void Add(const Floats16& /*weights*/, const float* /*input*/, int64_t /*stride*/) {}
  void Store(float* /*out*/, int64_t /*stride*/) const {}
};

struct Avx512 {
  static constexpr int kRows = 12;
  template <int kCount>
  using Sums = RowSums16<kCount>;
};

struct Floats {
  template <int kCount, bool kAhead>
  static void Sum(const FloatJob& job, const float* inputs, Avx512::Sums<kCount>& tile) {
    const float* weights = static_cast<const float*>(job.panel);
    for (int64_t k = 0; k < job.inputs; ++k, weights += kPanelOutputs) {
      if constexpr (kAhead) __builtin_prefetch(weights + job.inputs * kPanelOutputs, 0, 2);
      tile.Add(LoadVector<Floats16>(weights), inputs + k, job.stride);
    }
  }
};

// A word holds the weights of an output for two inputs, the first one in its lower half.
struct Halves {
  template <int kCount, bool kAhead>
  static void Sum(const FloatJob& job, const float* inputs, Avx512::Sums<kCount>& tile) {
    const int64_t pairs = (job.inputs + 1) / 2;
    const auto* weights = static_cast<const uint32_t*>(job.panel);
    for (int64_t pair = 0; pair < pairs; ++pair, weights += kPanelOutputs) {
      if constexpr (kAhead) __builtin_prefetch(weights + pairs * kPanelOutputs, 0, 2);
      const auto words = LoadVector<Words16>(weights);
      tile.Add(__builtin_bit_cast(Floats16, words << 16), inputs + 2 * pair, job.stride);
      tile.Add(__builtin_bit_cast(Floats16, words & 0xffff0000U), inputs + 2 * pair + 1, job.stride);
    }
  }
};

}  // namespace

void FloatAvx512(const FloatJob& job, float* sums, int64_t stride) { FloatTiles<Avx512, Floats>(job, sums, stride); }
void HalfAvx512(const FloatJob& job, float* sums, int64_t stride) { FloatTiles<Avx512, Halves>(job, sums, stride); }

}  // namespace nla::packed
#endif
