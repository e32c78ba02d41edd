// The clock that durations are measured with.
#pragma once

#include <chrono>

namespace nla {

using Clock = std::chrono::steady_clock;

inline double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace nla
