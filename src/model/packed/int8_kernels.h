// The inner loop of 8-bit linears: 16-bit inputs times 8-bit weights, summed in 32 bits. A sum of integers is exact, so
// that every variant gives the same numbers. Scales, and the bound on inputs that keeps sums inside 32 bits, are
// packed_linear.h's.
//
// Only <cstdint> is included here: files that are compiled for newer processors must not instantiate inline functions
// that the linker could hand to the rest of the program.
#pragma once

#include <cstdint>

#include "model/packed/format.h"

namespace nla::packed {

// One panel of weights against some rows.
struct Int8Job {
  const int8_t* panel = nullptr;  // [pairs][kPanelOutputs][2], 32-byte aligned
  int64_t pairs = 0;              // of inputs
  const int16_t* rows = nullptr;  // [count] rows of 2 · pairs numbers
  int64_t stride = 0;             // numbers from one row to the next; even
  int64_t count = 0;
};

// sums[row][output] = Σ input · weight; `sums` is [count][kPanelOutputs].
using Int8Kernel = void (*)(const Int8Job& job, int32_t* sums);

void Int8Portable(const Int8Job& job, int32_t* sums);
#if defined(__x86_64__)
void Int8Avx2(const Int8Job& job, int32_t* sums);
void Int8AvxVnni(const Int8Job& job, int32_t* sums);
void Int8Avx512Vnni(const Int8Job& job, int32_t* sums);
#endif

// Cuts the rows into tiles of at most Isa::kRows: Isa::Tile<n>(job, first row, sums of that row).
template <typename Isa, int kRows>
inline void Int8Tile(const Int8Job& job, int64_t row, int32_t* sums) {
  if constexpr (kRows > 1) {
    if (job.count - row < kRows) return Int8Tile<Isa, kRows - 1>(job, row, sums);
  }
  Isa::template Tile<kRows>(job, row, sums + row * kPanelOutputs);
}

template <typename Isa>
inline void Int8Tiles(const Int8Job& job, int32_t* sums) {
  for (int64_t row = 0; row < job.count; row += Isa::kRows) Int8Tile<Isa, Isa::kRows>(job, row, sums);
}

// Two neighbouring inputs as the one number that is broadcast to all outputs.
inline int32_t PairAt(const int16_t* at) {
  int32_t pair = 0;
  __builtin_memcpy(&pair, at, sizeof(pair));
  return pair;
}

}  // namespace nla::packed
