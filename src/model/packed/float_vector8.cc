// Tiles of six rows and sixteen outputs: twelve registers of sums.
#include "model/ops/vector8.h"
#include "model/packed/float_kernels.h"

namespace nla::packed {
namespace {

struct Vector8 {
  static constexpr int kRows = 6;
  template <int kCount>
  using Sums = ops::RowSums<kCount>;
};

struct Floats {
  template <int kCount, bool kAhead>
  static void Sum(const FloatJob& job, const float* inputs, Vector8::Sums<kCount>& tile) {
    const float* weights = static_cast<const float*>(job.panel);
    for (int64_t k = 0; k < job.inputs; ++k, weights += kPanelOutputs) {
      if constexpr (kAhead) __builtin_prefetch(weights + job.inputs * kPanelOutputs, 0, 2);
      tile.Add(ops::Load8(weights), ops::Load8(weights + 8), inputs + k, job.stride);
    }
  }
};

// A word holds the weights of an output for two inputs, the first one in its lower half.
struct Halves {
  template <int kCount, bool kAhead>
  static void Sum(const FloatJob& job, const float* inputs, Vector8::Sums<kCount>& tile) {
    const int64_t pairs = (job.inputs + 1) / 2;
    const auto* weights = static_cast<const uint32_t*>(job.panel);
    for (int64_t pair = 0; pair < pairs; ++pair, weights += kPanelOutputs) {
      if constexpr (kAhead) __builtin_prefetch(weights + pairs * kPanelOutputs, 0, 2);
      const ops::Words8 low = ops::LoadWords8(weights);
      const ops::Words8 high = ops::LoadWords8(weights + 8);
      const auto first = [](const ops::Words8& words) { return __builtin_bit_cast(ops::Floats8, words << 16); };
      const auto second = [](const ops::Words8& words) {
        return __builtin_bit_cast(ops::Floats8, words & 0xffff0000U);
      };
      tile.Add(first(low), first(high), inputs + 2 * pair, job.stride);
      tile.Add(second(low), second(high), inputs + 2 * pair + 1, job.stride);
    }
  }
};

}  // namespace

void FloatVector8(const FloatJob& job, float* sums, int64_t stride) { FloatTiles<Vector8, Floats>(job, sums, stride); }
void HalfVector8(const FloatJob& job, float* sums, int64_t stride) { FloatTiles<Vector8, Halves>(job, sums, stride); }

}  // namespace nla::packed
