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

}  // namespace nla::packed
