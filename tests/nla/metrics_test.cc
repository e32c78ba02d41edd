// Metrics against numpy's golden (tools/goldens/metrics.py), and what they refuse.
#include "nla/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "nla/error.h"

namespace nla {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

nlohmann::json Golden() {
  std::ifstream in(NLA_SOURCE_DIR "/tests/nla/golden/metrics.json");
  return nlohmann::json::parse(in);
}

template <typename Function>
std::string MessageOf(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Metrics, EqualNumpy) {
  const auto golden = Golden();
  const int64_t d = golden["d"];
  const std::vector<float> gold = golden["gold"], predicted = golden["predicted"];
  const Baselines baselines = ComputeBaselines(gold, d);
  EXPECT_NEAR(baselines.raw_variance, golden["baseline_raw_variance"], 1e-9);
  EXPECT_NEAR(baselines.mean_norm, golden["baseline_mean_norm"], 1e-9);
  for (size_t i = 0; i < gold.size() / d; ++i) {
    EXPECT_NEAR(DirectionMse({&predicted[i * d], static_cast<size_t>(d)}, {&gold[i * d], static_cast<size_t>(d)}),
                golden["row_mse"][i], 1e-9)
        << i;
  }
  const FveSummary summary = Summarize(predicted, gold, d);
  EXPECT_EQ(summary.n, 40);
  EXPECT_NEAR(summary.mse, golden["mse"], 1e-9);
  EXPECT_NEAR(summary.cosine_mean, golden["cosine_mean"], 1e-9);
  EXPECT_NEAR(summary.fve_raw_variance, golden["fve_raw_variance"], 1e-9);
  EXPECT_NEAR(summary.fve_mean_norm, golden["fve_mean_norm"], 1e-9);
}

// The golden's bootstrap recomputes the mean direction in each of 4000 resamples; ours holds it (O(1/n), n = 40) and
// draws 1000. A tenth of the interval's width covers both.
TEST(Metrics, IntervalAgreesWithAFullBootstrap) {
  const auto golden = Golden();
  const std::vector<float> gold = golden["gold"], predicted = golden["predicted"];
  const FveSummary summary = Summarize(predicted, gold, golden["d"]);
  const auto near = [](const Interval& ours, const nlohmann::json& theirs) {
    const double width = theirs[1].get<double>() - theirs[0].get<double>();
    EXPECT_NEAR(ours.low, theirs[0], 0.1 * width);
    EXPECT_NEAR(ours.high, theirs[1], 0.1 * width);
  };
  near(summary.fve_raw_variance_interval, golden["interval_raw_variance"]);
  near(summary.fve_mean_norm_interval, golden["interval_mean_norm"]);
}

TEST(Metrics, IntervalIsDeterministicForASeed) {
  const auto golden = Golden();
  const std::vector<float> gold = golden["gold"], predicted = golden["predicted"];
  const auto low = [&](uint64_t seed) {
    return Summarize(predicted, gold, golden["d"], seed).fve_raw_variance_interval.low;
  };
  EXPECT_EQ(low(1), low(1));
  EXPECT_NE(low(1), low(2));
}

TEST(Metrics, ScalingKeepsZeroAndHitsTheNorm) {
  EXPECT_THAT(ScaledTo(std::vector<float>{3, 4}, 10), testing::ElementsAre(6.f, 8.f));
  EXPECT_THAT(ScaledTo(std::vector<float>{0, 0}, 10), testing::ElementsAre(0.f, 0.f));
  // Squares of these overflow and underflow fp32.
  EXPECT_THAT(ScaledTo(std::vector<float>{3e30f, 4e30f}, 5), testing::ElementsAre(3.f, 4.f));
  EXPECT_THAT(ScaledTo(std::vector<float>{3e-30f, 4e-30f}, 5), testing::ElementsAre(3.f, 4.f));
}

TEST(Metrics, ZeroVectorsFollowTheDefinition) {
  const std::vector<float> zero{0, 0}, v{1, 2};
  EXPECT_EQ(Cosine(zero, v), 0);
  EXPECT_EQ(DirectionMse(zero, v), 1);
  EXPECT_EQ(DirectionMse(zero, zero), 0);
  EXPECT_DOUBLE_EQ(DirectionMse(v, std::vector<float>{-1, -2}), 4);
}

TEST(Metrics, RefuseBadInput) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  EXPECT_THAT(MessageOf([&] { ScaledTo(std::vector<float>{1, nan}, 1); }), HasSubstr("entry 1 is not a finite number"));
  EXPECT_THAT(MessageOf([&] { Cosine(std::vector<float>{inf}, std::vector<float>{1.f}); }), HasSubstr("not a finite"));
  const std::vector<float> good{1, 2, 2, 1};
  EXPECT_THAT(MessageOf([&] {
                Summarize(std::vector<float>{1, 2, nan, 1}, good, 2);
              }),
              HasSubstr("predicted vector of row 1"));
  EXPECT_THAT(MessageOf([&] {
                Summarize(good, std::vector<float>{1, 2, 3, inf}, 2);
              }),
              HasSubstr("gold vector of row 1"));
  EXPECT_THAT(MessageOf([&] { Summarize(std::vector<float>{1, 2}, good, 2); }), HasSubstr("count differs"));
  EXPECT_THAT(MessageOf([&] { ComputeBaselines(std::vector<float>{1, 2, 3}, 2); }), HasSubstr("whole rows"));
  EXPECT_THAT(MessageOf([&] { ComputeBaselines(std::vector<float>{1, 2}, 2); }), HasSubstr("at least 2"));
  EXPECT_THAT(MessageOf([&] { Summarize(good, std::vector<float>{1, 1, 2, 2}, 2); }), HasSubstr("same direction"));
}

TEST(Metrics, FloorsStandBesideOtherRows) {
  const std::vector<float> rows{1, 2, 3, 4, 5, 6};
  EXPECT_THAT(ShuffledRows(rows, 2), ElementsAre(3, 4, 5, 6, 1, 2));
  EXPECT_THAT(ShuffledRows(rows, 1), ElementsAre(4, 5, 6, 1, 2, 3));
  EXPECT_THAT(RepeatedRow(std::vector<float>{7, 8}, 3), ElementsAre(7, 8, 7, 8, 7, 8));
}

}  // namespace
}  // namespace nla
