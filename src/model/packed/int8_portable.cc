// The variant that every processor has, and that the others are held against.
#include "model/packed/int8_kernels.h"

namespace nla::packed {

void Int8Portable(const Int8Job& job, int32_t* sums) {
  for (int64_t row = 0; row < job.count; ++row) {
    const int16_t* inputs = job.rows + row * job.stride;
    int32_t* out = sums + row * kPanelOutputs;
    for (int64_t n = 0; n < kPanelOutputs; ++n) out[n] = 0;
    for (int64_t pair = 0; pair < job.pairs; ++pair) {
      const int8_t* weights = job.panel + pair * kPanelOutputs * 2;
      const int32_t first = inputs[2 * pair];
      const int32_t second = inputs[2 * pair + 1];
      for (int64_t n = 0; n < kPanelOutputs; ++n) out[n] += first * weights[2 * n] + second * weights[2 * n + 1];
    }
  }
}

}  // namespace nla::packed
