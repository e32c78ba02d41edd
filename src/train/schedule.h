// The learning rate by step: linear warm-up, then constant, cosine or linear decay to a floor.
#pragma once

#include <cstdint>
#include <string>

namespace nla {

struct ScheduleOptions {
  std::string shape = "cosine";  // constant | cosine | linear
  int64_t warmup_steps = 0;
  double floor = 0.1;  // fraction of the peak at the last step
};

// A usage error when the shape is unknown or a number is out of range.
void CheckSchedule(const ScheduleOptions& options);

// Factor of the peak learning rate at the 0-based `step` of `total_steps`. Step i of the warm-up has (i + 1) / warmup.
double ScheduleFactor(const ScheduleOptions& options, int64_t step, int64_t total_steps);

}  // namespace nla
