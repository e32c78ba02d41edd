// Sampling: greedy, which tokens top-k and top-p leave, and that frequencies are the probabilities.
#include "model/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

namespace nla {
namespace {

std::vector<float> RandomLogits(int64_t size, uint64_t seed) {
  CounterRandom random(seed, 0);
  std::vector<float> logits(size);
  for (float& x : logits) x = random.Normal() * 2;
  return logits;
}

SamplingOptions At(double temperature, double top_p = 1, int64_t top_k = 0) {
  SamplingOptions options;
  options.temperature = temperature;
  options.top_p = top_p;
  options.top_k = top_k;
  return options;
}

std::vector<double> Probabilities(const std::vector<float>& logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  for (const float x : logits) p.push_back(std::exp((x - largest) / temperature));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

SampledToken Sample(std::vector<float> logits, const SamplingOptions& options, CounterRandom& random) {
  return SampleToken(logits, options, random);
}

// How often each token came in `draws`.
std::vector<double> Frequencies(const std::vector<float>& logits, const SamplingOptions& options, int draws) {
  CounterRandom random(11, 3);
  std::vector<double> counts(logits.size(), 0);
  for (int i = 0; i < draws; ++i) counts[Sample(logits, options, random).id] += 1;
  for (double& x : counts) x /= draws;
  return counts;
}

// Every frequency within five standard deviations (and one draw) of its probability: a right sampler fails one check in
// 10^6, and the draws are seeded.
void ExpectDrawnFrom(const std::vector<double>& frequencies, const std::vector<double>& p, int draws) {
  for (size_t i = 0; i < p.size(); ++i) {
    const double bound = 5 * std::sqrt(p[i] * (1 - p[i]) / draws) + 1.0 / draws;
    EXPECT_NEAR(frequencies[i], p[i], bound) << i;
  }
}

// The smallest set of most probable tokens with at least this mass, at most k of them; 0: no bound.
std::set<int64_t> Nucleus(const std::vector<double>& p, double top_p, int64_t top_k) {
  std::vector<int64_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return p[a] > p[b]; });
  std::set<int64_t> kept;
  double mass = 0;
  for (const int64_t id : order) {
    if (!kept.empty() && (mass >= top_p || (top_k > 0 && static_cast<int64_t>(kept.size()) == top_k))) break;
    kept.insert(id);
    mass += p[id];
  }
  return kept;
}

TEST(SamplerTest, GreedyTakesTheLargestAndTheFirstOfEquals) {
  CounterRandom random(1, 0);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<float> logits = RandomLogits(1000, seed);
    const SampledToken token = Sample(logits, At(0), random);
    EXPECT_EQ(token.id, std::max_element(logits.begin(), logits.end()) - logits.begin());
    EXPECT_NEAR(token.logprob, std::log(Probabilities(logits, 1)[token.id]), 1e-4);
  }
  EXPECT_EQ(Sample({1, 3, 3, 2}, At(0), random).id, 1);
  EXPECT_EQ(random.counter(), 0U);  // draws nothing
}

TEST(SamplerTest, FrequenciesAreTheProbabilities) {
  constexpr int kDraws = 40000;
  const std::vector<float> logits = RandomLogits(40, 5);
  for (const double temperature : {0.7, 1.0, 2.0}) {
    const auto p = Probabilities(logits, temperature);
    ExpectDrawnFrom(Frequencies(logits, At(temperature), kDraws), p, kDraws);
  }
}

TEST(SamplerTest, TopKAndTopPLeaveTheirSetsWithTheirProportions) {
  constexpr int kDraws = 20000;
  const std::vector<float> logits = RandomLogits(300, 6);
  const auto p = Probabilities(logits, 1);
  struct Bounds {
    double top_p;
    int64_t top_k;
  };
  for (const auto& [top_p, top_k] :
       {Bounds{1, 1}, Bounds{1, 7}, Bounds{1, 100}, Bounds{1, 1000}, Bounds{0.5, 0}, Bounds{0.9, 0}, Bounds{0.95, 5},
        Bounds{0.3, 100}, Bounds{0, 0}, Bounds{0.999, 0}}) {
    const std::set<int64_t> kept = Nucleus(p, top_p, top_k);
    std::vector<double> wanted(p.size(), 0);
    double mass = 0;
    for (const int64_t id : kept) mass += p[id];
    for (const int64_t id : kept) wanted[id] = p[id] / mass;
    const auto frequencies = Frequencies(logits, At(1, top_p, top_k), kDraws);
    for (size_t id = 0; id < p.size(); ++id) {
      const bool left_out = !kept.contains(static_cast<int64_t>(id));
      EXPECT_TRUE(!left_out || frequencies[id] == 0) << id << " of " << top_p << " " << top_k;
    }
    ExpectDrawnFrom(frequencies, wanted, kDraws);
  }
}

TEST(SamplerTest, MinPLeavesWhatIsNotFarBelowTheBest) {
  constexpr int kDraws = 20000;
  const std::vector<float> logits = RandomLogits(300, 6);
  const auto p = Probabilities(logits, 1);
  const double best = *std::max_element(p.begin(), p.end());
  for (const double min_p : {0.05, 0.3, 1.0}) {
    SamplingOptions options = At(1);
    options.min_p = min_p;
    std::vector<double> wanted = p;
    double mass = 0;
    for (double& x : wanted) mass += x = x >= min_p * best ? x : 0;
    for (double& x : wanted) x /= mass;
    ExpectDrawnFrom(Frequencies(logits, options, kDraws), wanted, kDraws);
  }
}

TEST(SamplerTest, PenaltiesChangeTheLogitsOfWhatWasSaid) {
  SamplingOptions options;
  options.frequency_penalty = 0.5;
  options.presence_penalty = 0.25;
  options.repetition_penalty = 2;
  options.min_new_tokens = 3;
  options.stop_ids = {4};
  // Token 0 stands in the prompt, 1 once and 2 three times in the reply.
  const TokenCounts counts = {{0, 0}, {1, 1}, {2, 3}};
  std::vector<float> logits = {-1, 4, 4, 4, 4};
  ApplyPenalties(logits, options, counts, 2);
  EXPECT_THAT(logits, testing::ElementsAre(-2, 1.25, 0.25, 4, -std::numeric_limits<float>::infinity()));
  logits = {1, 1, 1, 1, 1};
  ApplyPenalties(logits, options, {}, 3);
  EXPECT_THAT(logits, testing::Each(1));
}

TEST(SamplerTest, TopTokensAreOfTheWholeDistribution) {
  std::vector<float> logits = RandomLogits(50, 9);
  const auto p = Probabilities(logits, 0.7);
  CounterRandom random(1, 1);
  SampleToken(logits, At(0.7, 0.5), random);
  const auto top = TopTokens(logits, 60);
  ASSERT_EQ(top.size(), 50U);
  for (size_t i = 0; i < top.size(); ++i) {
    EXPECT_NEAR(top[i].second, std::log(p[top[i].first]), 1e-4);
    EXPECT_TRUE(i == 0 || top[i].second <= top[i - 1].second);
  }
}

TEST(SamplerTest, LogprobIsOfTheWholeDistributionAfterTemperature) {
  const std::vector<float> logits = RandomLogits(50, 7);
  const auto p = Probabilities(logits, 0.5);
  CounterRandom random(2, 2);
  for (int i = 0; i < 50; ++i) {
    const SampledToken token = Sample(logits, At(0.5, 0.8, 5), random);
    EXPECT_NEAR(token.logprob, std::log(p[token.id]), 1e-4);
  }
}

TEST(SamplerTest, EqualGeneratorsGiveEqualTokens) {
  const std::vector<float> logits = RandomLogits(500, 8);
  const auto draw = [&](uint64_t seed, uint64_t stream) {
    CounterRandom random(seed, stream);
    std::vector<TokenId> ids;
    for (int i = 0; i < 20; ++i) ids.push_back(Sample(logits, At(1, 0.99), random).id);
    return ids;
  };
  EXPECT_EQ(draw(3, 0), draw(3, 0));
  EXPECT_NE(draw(3, 0), draw(4, 0));
  EXPECT_NE(draw(3, 0), draw(3, 1));
}

TEST(SamplerTest, ExtremeLogitsAreNoTrouble) {
  CounterRandom random(1, 0);
  std::vector<float> far(100, -1e30F);
  far[17] = 1e30F;
  for (const double temperature : {0.0, 1e-3, 1.0, 100.0}) {
    const SampledToken token = Sample(far, At(temperature), random);
    EXPECT_EQ(token.id, 17);
    EXPECT_NEAR(token.logprob, 0, 1e-6);
  }
  EXPECT_EQ(Sample({-5}, {}, random).id, 0);
  // Tokens of no weight are never drawn.
  const float nothing = -std::numeric_limits<float>::infinity();
  const std::vector<float> half = {nothing, 0, nothing, 0, nothing};
  for (int i = 0; i < 200; ++i) {
    for (const double top_p : {1.0, 0.9999}) EXPECT_EQ(Sample(half, At(1, top_p), random).id % 2, 1);
  }
}

}  // namespace
}  // namespace nla
