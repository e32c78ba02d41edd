// Tiles of six rows and sixteen outputs: twelve registers of sums.
#include "model/packed/float_kernel.h"

#include "model/ops/vector8.h"

namespace nla::packed {
namespace {

constexpr int kTileRows = 6;

// kAhead: fetches the next panel, most likely the next to be asked for.
template <int kCount, bool kAhead>
void Tile(const FloatJob& job, int64_t row, float* sums, int64_t stride) {
  if constexpr (kCount > 1) {
    if (job.count - row < kCount) return Tile<kCount - 1, kAhead>(job, row, sums, stride);
  }
  const float* inputs = job.rows + row * job.stride;
  ops::RowSums<kCount> tile;
  for (int64_t k = 0; k < job.inputs; ++k) {
    const float* weights = job.panel + k * kPanelOutputs;
    if constexpr (kAhead) __builtin_prefetch(weights + job.inputs * kPanelOutputs, 0, 2);
    tile.Add(ops::Load8(weights), ops::Load8(weights + 8), inputs + k, job.stride);
  }
  tile.Store(sums + row * stride, stride);
}

}  // namespace

void MultiplyFloat(const FloatJob& job, float* sums, int64_t stride) {
  if (job.count == 0) return;
  Tile<kTileRows, true>(job, 0, sums, stride);
  for (int64_t row = kTileRows; row < job.count; row += kTileRows) Tile<kTileRows, false>(job, row, sums, stride);
}

}  // namespace nla::packed
