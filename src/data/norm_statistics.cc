#include "data/norm_statistics.h"

#include <algorithm>
#include <cmath>

namespace nla {

void NormStatistics::Add(std::span<const float> activation) {
  double sum = 0;
  for (const float x : activation) sum += static_cast<double>(x) * x;
  const double norm = std::sqrt(sum);
  min_ = seen_ == 0 ? norm : std::min(min_, norm);
  max_ = seen_ == 0 ? norm : std::max(max_, norm);
  ++seen_;
  if (norms_.size() < kSample) {
    norms_.push_back(norm);
  } else if (const uint64_t place = random_.Below(seen_); place < kSample) {
    norms_[place] = norm;
  }
}

NormSummary NormStatistics::Summary() const {
  if (norms_.empty()) return {};
  std::vector<double> sorted = norms_;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double fraction) {
    return sorted[static_cast<size_t>(fraction * static_cast<double>(sorted.size() - 1))];
  };
  return {.rows = static_cast<int64_t>(seen_),
          .min = min_,
          .p5 = at(0.05),
          .p50 = at(0.50),
          .p75 = at(0.75),
          .p95 = at(0.95),
          .max = max_};
}

}  // namespace nla
