// Learning-rate schedules.
#include "train/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/fail.h"

namespace nla {

void CheckSchedule(const ScheduleOptions& options) {
  if (options.shape != "constant" && options.shape != "cosine" && options.shape != "linear") {
    FailUsage({.where = "schedule",
               .what = "unknown schedule",
               .found = fmt::format("\"{}\"", options.shape),
               .wanted = "constant, cosine or linear"});
  }
  if (options.warmup_steps < 0) {
    FailUsage({.where = "warmup_steps", .found = fmt::format("{}", options.warmup_steps), .wanted = "0 or more"});
  }
  if (options.floor < 0 || options.floor > 1) {
    FailUsage({.where = "lr_floor", .found = fmt::format("{}", options.floor), .wanted = "a fraction in [0, 1]"});
  }
}

double ScheduleFactor(const ScheduleOptions& options, int64_t step, int64_t total_steps) {
  if (step < options.warmup_steps) return static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  if (options.shape == "constant") return 1;
  const int64_t span = std::max<int64_t>(1, total_steps - 1 - options.warmup_steps);
  const double progress = std::min(1.0, static_cast<double>(step - options.warmup_steps) / static_cast<double>(span));
  const double left = options.shape == "linear" ? 1 - progress : (1 + std::cos(std::numbers::pi * progress)) / 2;
  return options.floor + (1 - options.floor) * left;
}

}  // namespace nla
