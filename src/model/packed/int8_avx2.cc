// AVX2: weights are widened to 16 bits as they are read, then multiplied and added in pairs.
#include "model/packed/int8_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace nla::packed {
namespace {

// Members one inside the other, not arrays: what the compiler can number it keeps in registers.
template <int kCount>
struct Sums {
  __m256i low = _mm256_setzero_si256();
  __m256i high = _mm256_setzero_si256();
  Sums<kCount - 1> rest;

  [[gnu::always_inline]] void Add(__m256i first, __m256i second, const int16_t* inputs, int64_t stride) {
    const __m256i input = _mm256_set1_epi32(PairAt(inputs));
    low = _mm256_add_epi32(low, _mm256_madd_epi16(first, input));
    high = _mm256_add_epi32(high, _mm256_madd_epi16(second, input));
    rest.Add(first, second, inputs + stride, stride);
  }
  [[gnu::always_inline]] void Store(int32_t* sums) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 8), high);
    rest.Store(sums + kPanelOutputs);
  }
};

template <>
struct Sums<0> {
  void Add(__m256i /*first*/, __m256i /*second*/, const int16_t* /*inputs*/, int64_t /*stride*/) {}
  void Store(int32_t* /*sums*/) const {}
};

struct Avx2 {
  static constexpr int kRows = 6;  // 12 of the 16 registers are sums

  template <int kCount>
  static void Tile(const Int8Job& job, int64_t row, int32_t* sums) {
    if (row == 0) return Sum<kCount, true>(job, row, sums);
    Sum<kCount, false>(job, row, sums);
  }

  // kAhead: fetches the next panel, most likely the next to be asked for. Few rows wait for memory, and the processor's
  // own reading ahead is too short.
  template <int kCount, bool kAhead>
  static void Sum(const Int8Job& job, int64_t row, int32_t* sums) {
    const int16_t* inputs = job.rows + row * job.stride;
    const int64_t panel_bytes = job.pairs * kPanelOutputs * 2;
    Sums<kCount> tile;
    for (int64_t pair = 0; pair < job.pairs; ++pair) {
      const auto* weights = reinterpret_cast<const __m128i*>(job.panel + pair * kPanelOutputs * 2);
      if constexpr (kAhead) _mm_prefetch(reinterpret_cast<const char*>(weights) + panel_bytes, _MM_HINT_T1);
      const __m256i first = _mm256_cvtepi8_epi16(_mm_load_si128(weights));
      const __m256i second = _mm256_cvtepi8_epi16(_mm_load_si128(weights + 1));
      tile.Add(first, second, inputs + 2 * pair, job.stride);
    }
    tile.Store(sums);
  }
};

}  // namespace

void Int8Avx2(const Int8Job& job, int32_t* sums) { Int8Tiles<Avx2>(job, sums); }

}  // namespace nla::packed
#endif
