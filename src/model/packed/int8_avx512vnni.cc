// AVX-512 VNNI: a register holds a panel's pair of inputs. Compiled with -mavx512f -mavx512bw -mavx512vnni.
#include "model/packed/int8_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace nla::packed {
namespace {

// Members one inside the other, not an array: what the compiler can number it keeps in registers.
template <int kCount>
struct Sums {
  __m512i sum = _mm512_setzero_si512();
  Sums<kCount - 1> rest;

  [[gnu::always_inline]] void Add(__m512i weights, const int16_t* inputs, int64_t stride) {
    sum = _mm512_dpwssd_epi32(sum, weights, _mm512_set1_epi32(PairAt(inputs)));
    rest.Add(weights, inputs + stride, stride);
  }
  [[gnu::always_inline]] void Store(int32_t* sums) const {
    _mm512_storeu_si512(sums, sum);
    rest.Store(sums + kPanelOutputs);
  }
};

template <>
struct Sums<0> {
  void Add(__m512i /*weights*/, const int16_t* /*inputs*/, int64_t /*stride*/) {}
  void Store(int32_t* /*sums*/) const {}
};

struct Avx512Vnni {
  static constexpr int kRows = 12;

  template <int kCount>
  static void Tile(const Int8Job& job, int64_t row, int32_t* sums) {
    const int16_t* inputs = job.rows + row * job.stride;
    Sums<kCount> tile;
    for (int64_t pair = 0; pair < job.pairs; ++pair) {
      const auto* weights = reinterpret_cast<const __m256i*>(job.panel + pair * kPanelOutputs * 2);
      tile.Add(_mm512_cvtepi8_epi16(_mm256_load_si256(weights)), inputs + 2 * pair, job.stride);
    }
    tile.Store(sums);
  }
};

}  // namespace

void Int8Avx512Vnni(const Int8Job& job, int32_t* sums) { Int8Tiles<Avx512Vnni>(job, sums); }

}  // namespace nla::packed
#endif
