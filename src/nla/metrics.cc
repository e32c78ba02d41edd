// Scores of a round trip. Works on the closed forms that hold once every vector has norm sqrt(d) or zero.
#include "nla/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "base/fail.h"
#include "base/random.h"

namespace nla {
namespace {

double Dot(std::span<const float> a, std::span<const float> b) {
  NLA_CHECK(a.size() == b.size());
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// The norm, or an error that names the first non-finite entry.
double FiniteNorm(std::span<const float> v, const std::string& what) {
  const double square = Dot(v, v);
  if (!std::isfinite(square)) {
    for (size_t i = 0; i < v.size(); ++i) {
      if (!std::isfinite(v[i])) {
        Fail({.where = what,
              .what = fmt::format("entry {} is not a finite number", i),
              .found = fmt::format("{}", v[i]),
              .wanted = "finite numbers",
              .mend = "Drop the row or extract it again"});
      }
    }
  }
  return std::sqrt(square);
}

int64_t RowCount(std::span<const float> table, int64_t d, const char* name) {
  if (d <= 0 || static_cast<int64_t>(table.size()) % d != 0) {
    Fail({.where = name,
          .what = "the values do not form whole rows",
          .found = fmt::format("{} values", table.size()),
          .wanted = fmt::format("a multiple of the width {}", d)});
  }
  return static_cast<int64_t>(table.size()) / d;
}

// Every row's distance from the two constant predictions that stand for the mean.
struct RowBaselines {
  std::vector<double> raw_variance;
  std::vector<double> mean_norm;
};

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

RowBaselines ComputeRowBaselines(std::span<const float> gold, int64_t d) {
  const int64_t n = RowCount(gold, d, "gold vectors");
  if (n < 2) {
    Fail({.where = "gold vectors",
          .what = "too few rows for the mean baselines",
          .found = std::to_string(n),
          .wanted = "at least 2"});
  }
  std::vector<double> unit(n);  // 1/‖v‖, or 0 for a zero row
  std::vector<double> mean(d, 0.0);
  for (int64_t i = 0; i < n; ++i) {
    const auto row = gold.subspan(i * d, d);
    const double norm = FiniteNorm(row, fmt::format("gold vector of row {}", i));
    unit[i] = norm > 0 ? 1 / norm : 0;
    for (int64_t j = 0; j < d; ++j) mean[j] += row[j] * unit[i] / static_cast<double>(n);
  }
  double mean_square = 0;
  for (double m : mean) mean_square += m * m;
  const double mean_length = std::sqrt(mean_square);

  // With û = v/‖v‖ and m = mean(û): v̂ = sqrt(d)·û, so every squared distance over d is one between unit-scale vectors.
  RowBaselines rows{std::vector<double>(n), std::vector<double>(n)};
  for (int64_t i = 0; i < n; ++i) {
    double along = 0;
    for (int64_t j = 0; j < d; ++j) along += gold[i * d + j] * mean[j];
    along *= unit[i];
    const double square = unit[i] > 0 ? 1 : 0;
    rows.raw_variance[i] = square + mean_square - 2 * along;
    rows.mean_norm[i] = mean_length > 0 ? square + 1 - 2 * along / mean_length : square;
  }
  return rows;
}

double Fve(double mse, double baseline) { return 1 - mse / baseline; }

// Linear interpolation between order statistics, as numpy.percentile does. Sorts its argument.
Interval PercentileInterval(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double q) {
    const double position = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(position);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (position - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {at(0.025), at(0.975)};
}

// Resamples rows; each draw carries the row's error and its two baseline distances, so the errors of numerator and
// denominator stay correlated as they are in the data. The mean direction itself stays that of the whole set: moving
// it changes a resample's baseline only in the order of 1/n, and would cost n·d instead of n a round.
void Bootstrap(const std::vector<double>& mse, const RowBaselines& rows, uint64_t seed, int rounds,
               FveSummary& summary) {
  const auto n = mse.size();
  CounterRandom random(seed, 0x6d657472);
  std::vector<double> raw(rounds), normed(rounds);
  for (int round = 0; round < rounds; ++round) {
    double sum_mse = 0, sum_raw = 0, sum_norm = 0;
    for (size_t k = 0; k < n; ++k) {
      const size_t i = random.Below(n);
      sum_mse += mse[i];
      sum_raw += rows.raw_variance[i];
      sum_norm += rows.mean_norm[i];
    }
    // A resample of equal rows has no variance to explain; the point estimate says as much as is known.
    raw[round] = sum_raw > 0 ? Fve(sum_mse, sum_raw) : summary.fve_raw_variance;
    normed[round] = sum_norm > 0 ? Fve(sum_mse, sum_norm) : summary.fve_mean_norm;
  }
  summary.fve_raw_variance_interval = PercentileInterval(raw);
  summary.fve_mean_norm_interval = PercentileInterval(normed);
}

}  // namespace

std::vector<float> ScaledTo(std::span<const float> v, double scale) {
  const double norm = FiniteNorm(v, "vector to scale");
  std::vector<float> scaled(v.begin(), v.end());
  if (norm == 0) return scaled;
  for (float& value : scaled) value = static_cast<float>(value * (scale / norm));
  return scaled;
}

double Cosine(std::span<const float> a, std::span<const float> b) {
  const double norm_a = FiniteNorm(a, "first vector of a cosine");
  const double norm_b = FiniteNorm(b, "second vector of a cosine");
  if (norm_a == 0 || norm_b == 0) return 0;
  return std::clamp(Dot(a, b) / (norm_a * norm_b), -1.0, 1.0);
}

double DirectionMse(std::span<const float> predicted, std::span<const float> gold) {
  const double norm_p = FiniteNorm(predicted, "predicted vector");
  const double norm_g = FiniteNorm(gold, "gold vector");
  if (norm_p == 0 || norm_g == 0) return (norm_p > 0 ? 1.0 : 0.0) + (norm_g > 0 ? 1.0 : 0.0);
  return 2 * (1 - std::clamp(Dot(predicted, gold) / (norm_p * norm_g), -1.0, 1.0));
}

Baselines ComputeBaselines(std::span<const float> gold, int64_t d) {
  const RowBaselines rows = ComputeRowBaselines(gold, d);
  return {.raw_variance = Mean(rows.raw_variance), .mean_norm = Mean(rows.mean_norm)};
}

FveSummary Summarize(std::span<const float> predicted, std::span<const float> gold, int64_t d, uint64_t seed,
                     int bootstrap_rounds) {
  NLA_CHECK(bootstrap_rounds > 0);
  if (predicted.size() != gold.size()) {
    Fail({.where = "predicted vectors",
          .what = "count differs from the gold vectors'",
          .found = fmt::format("{} values", predicted.size()),
          .wanted = fmt::format("{} values", gold.size())});
  }
  const RowBaselines rows = ComputeRowBaselines(gold, d);
  FveSummary summary;
  summary.n = static_cast<int64_t>(rows.raw_variance.size());
  std::vector<double> mse(summary.n), cosine(summary.n);
  for (int64_t i = 0; i < summary.n; ++i) {
    const auto p = predicted.subspan(i * d, d);
    FiniteNorm(p, fmt::format("predicted vector of row {}", i));
    mse[i] = DirectionMse(p, gold.subspan(i * d, d));
    cosine[i] = Cosine(p, gold.subspan(i * d, d));
  }
  const double raw_variance = Mean(rows.raw_variance), mean_norm = Mean(rows.mean_norm);
  constexpr double kSmallest = 1e-12;  // below this the rows are one direction up to rounding
  if (raw_variance < kSmallest || mean_norm < kSmallest) {
    Fail({.where = "gold vectors",
          .what = "all rows have the same direction, so there is no variance to explain",
          .found = fmt::format("variance {:g} over {} rows", raw_variance, summary.n),
          .mend = "Score rows of different texts together"});
  }
  summary.mse = Mean(mse);
  summary.cosine_mean = Mean(cosine);
  summary.fve_raw_variance = Fve(summary.mse, raw_variance);
  summary.fve_mean_norm = Fve(summary.mse, mean_norm);
  Bootstrap(mse, rows, seed, bootstrap_rounds, summary);
  return summary;
}

std::vector<float> ShuffledRows(std::span<const float> predicted, int64_t d) {
  const int64_t n = static_cast<int64_t>(predicted.size()) / d;
  std::vector<float> shuffled(predicted.begin(), predicted.end());
  std::rotate(shuffled.begin(), shuffled.begin() + n / 2 * d, shuffled.end());
  return shuffled;
}

std::vector<float> RepeatedRow(std::span<const float> vector, int64_t n) {
  std::vector<float> rows;
  rows.reserve(n * vector.size());
  for (int64_t i = 0; i < n; ++i) rows.insert(rows.end(), vector.begin(), vector.end());
  return rows;
}

}  // namespace nla
