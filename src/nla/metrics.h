// Scores of a round trip: mse, cosine and the two FVE baselines (formats.md section 1), with bootstrap intervals.
// Plain floats, no torch; sums in double.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nla {

// v·(scale/‖v‖) with the norm in double. A zero vector stays zero. NaN or Inf is an error that says so.
std::vector<float> ScaledTo(std::span<const float> v, double scale);
double Cosine(std::span<const float> a, std::span<const float> b);  // 0 when either is zero
// Mean over d of the squared difference of both at norm sqrt(d): 2(1 − cosine); 1 when one of them is zero (which stays
// zero). Holds for mse_scale = sqrt_d_model.
double DirectionMse(std::span<const float> predicted, std::span<const float> gold);

struct Baselines {
  double raw_variance = 0;  // mean‖v̂ − mean(v̂)‖²/d, v̂ at norm sqrt(d), the mean left as it is
  double mean_norm = 0;     // mean mse against the mean direction scaled to sqrt(d)
};
// `gold` is [n, d] row-major; n ≥ 2.
Baselines ComputeBaselines(std::span<const float> gold, int64_t d);

struct Interval {
  double low = 0, high = 0;
};

struct FveSummary {
  int64_t n = 0;
  double mse = 0;
  double cosine_mean = 0;
  double fve_raw_variance = 0;
  double fve_mean_norm = 0;
  // 95% percentile bootstrap over rows: a row's error and its distance from the whole set's mean are drawn together.
  Interval fve_raw_variance_interval;
  Interval fve_mean_norm_interval;
};
// `predicted` and `gold` are [n, d] row-major. Deterministic for a seed.
FveSummary Summarize(std::span<const float> predicted, std::span<const float> gold, int64_t d, uint64_t seed = 0,
                     int bootstrap_rounds = 1000);

// Predictions for a floor, which say nothing of the row they stand beside. `predicted` is [n, d] row-major.
// Row i gets row i + n/2, in a circle: another document's, since rows of a document stand together.
std::vector<float> ShuffledRows(std::span<const float> predicted, int64_t d);
// The same vector [d] for n rows.
std::vector<float> RepeatedRow(std::span<const float> vector, int64_t n);

}  // namespace nla
