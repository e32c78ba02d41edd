// The inner loop of linears with fp32 weights.
#pragma once

#include <cstdint>

#include "model/packed/format.h"

namespace nla::packed {

struct FloatJob {
  const float* panel = nullptr;  // [inputs][kPanelOutputs]
  int64_t inputs = 0;
  const float* rows = nullptr;  // [count] rows of `inputs` numbers
  int64_t stride = 0;           // numbers from one row to the next
  int64_t count = 0;
};

// sums[row · stride + output] = Σ input · weight, in the order of the inputs, so that a row's sums are the same in any
// company.
void MultiplyFloat(const FloatJob& job, float* sums, int64_t stride);

}  // namespace nla::packed
