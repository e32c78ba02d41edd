// AdamW's arithmetic on plain arrays: one pass over a tensor updates master, moments and the model's copy. What a step
// is (clipping, skipping, the schedule) is optimizer.h's.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace nla {

// Loshchilov and Hutter 2019, in the order of operations of torch.optim.AdamW.
struct AdamWStep {
  double lr = 0;
  double weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.95;
  double eps = 1e-8;
  double gradient_scale = 1;  // clipping
  int64_t step = 1;           // 1-based, counts updates made, not those skipped
};

struct AdamWArrays {
  float* master = nullptr;
  float* momentum = nullptr;                 // first moment
  float* variance = nullptr;                 // second moment
  const float* grad = nullptr;               // this one
  const c10::BFloat16* grad_bf16 = nullptr;  // or this one
  c10::BFloat16* live = nullptr;             // the rounded copy; null when the model reads the master
  int64_t size = 0;
};

// Each element is computed alone: the result is the same for any thread count.
void UpdateAdamW(const AdamWStep& step, const AdamWArrays& arrays);

}  // namespace nla
