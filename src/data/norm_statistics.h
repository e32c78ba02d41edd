// Norms of many activations in little memory: what a sidecar records, and what tells a raw file from a normalised one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"

namespace nla {

struct NormSummary {
  int64_t rows = 0;
  double min = 0, p5 = 0, p50 = 0, p75 = 0, p95 = 0, max = 0;
};

// Percentiles are exact up to kSample rows, of a uniform sample of that many beyond.
class NormStatistics {
 public:
  static constexpr size_t kSample = 100000;

  void Add(std::span<const float> activation);
  // All zero before the first row.
  NormSummary Summary() const;

 private:
  std::vector<double> norms_;
  uint64_t seen_ = 0;
  double min_ = 0, max_ = 0;
  CounterRandom random_{0, 0};
};

}  // namespace nla
