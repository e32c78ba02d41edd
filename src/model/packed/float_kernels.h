// The inner loops of linears with fp32 inputs, over fp32 and over bf16 weights. Sums go in the order of the inputs,
// with one rounding for each product and its addition: every variant gives the same numbers, a row's are the same in
// any company, and bf16 weights give what they give in fp32.
//
// Only <cstdint> is included here, as in int8_kernels.h, and for the same reason.
#pragma once

#include <cstdint>

#include "model/packed/format.h"

namespace nla::packed {

// One panel of weights against some rows.
struct FloatJob {
  const void* panel = nullptr;  // fp32 [inputs][kPanelOutputs], or bf16 [pairs][kPanelOutputs][2]; 64-byte aligned
  int64_t inputs = 0;           // of a row; bf16: pairs = ceil(inputs / 2)
  const float* rows = nullptr;  // [count] rows of `inputs` numbers; bf16: an odd number is followed by a zero
  int64_t stride = 0;           // numbers from one row to the next
  int64_t count = 0;
};

// sums[row · stride + output] = Σ input · weight.
using FloatKernel = void (*)(const FloatJob& job, float* sums, int64_t stride);

// Eight numbers at once, by the compiler's vector types.
void FloatVector8(const FloatJob& job, float* sums, int64_t stride);
void HalfVector8(const FloatJob& job, float* sums, int64_t stride);
#if defined(__x86_64__)
void FloatAvx512(const FloatJob& job, float* sums, int64_t stride);
void HalfAvx512(const FloatJob& job, float* sums, int64_t stride);
#endif

// Cuts the rows into tiles of at most Isa::kRows. `Weights` reads a panel: Weights::Sum<n, kAhead>(job, a row's inputs,
// sums of n rows from there on); kAhead: fetches the next panel, most likely the next to be asked for.
template <typename Isa, typename Weights, int kRows, bool kAhead>
inline void FloatTile(const FloatJob& job, int64_t row, float* sums, int64_t stride) {
  if constexpr (kRows > 1) {
    if (job.count - row < kRows) return FloatTile<Isa, Weights, kRows - 1, kAhead>(job, row, sums, stride);
  }
  typename Isa::template Sums<kRows> tile;
  Weights::template Sum<kRows, kAhead>(job, job.rows + row * job.stride, tile);
  tile.Store(sums + row * stride, stride);
}

template <typename Isa, typename Weights>
inline void FloatTiles(const FloatJob& job, float* sums, int64_t stride) {
  if (job.count == 0) return;
  FloatTile<Isa, Weights, Isa::kRows, true>(job, 0, sums, stride);
  for (int64_t row = Isa::kRows; row < job.count; row += Isa::kRows) {
    FloatTile<Isa, Weights, Isa::kRows, false>(job, row, sums, stride);
  }
}

}  // namespace nla::packed
