// CounterRandom against the published Philox vectors, and its statistics and resumption.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "base/random.h"

namespace nla {
namespace {

using Block = std::array<uint32_t, 4>;

// kat_vectors of Random123 (Salmon et al.), philox4x32 10 rounds.
TEST(Philox, MatchesTheKnownAnswers) {
  EXPECT_EQ(PhiloxBlock({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(PhiloxBlock({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(PhiloxBlock({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(CounterRandom, StartsWithItsFirstBlock) {
  CounterRandom random(0, 0);
  for (const uint32_t wanted : {0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U})
    EXPECT_EQ(random.NextU32(), wanted);
  EXPECT_EQ(random.NextU32(), PhiloxBlock({1, 0, 0, 0}, {0, 0})[0]);
}

TEST(CounterRandom, SeedAndStreamFillTheirWords) {
  CounterRandom random(0x299f31d0a4093822ULL, 0x0370734413198a2eULL);
  random.set_counter(4 * 0x05a308d3243f6a88ULL);
  EXPECT_EQ(random.NextU32(),
            PhiloxBlock({0x243f6a88, 0x05a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0})[0]);
}

// Every place inside a block counts, or a resumed run would drift by up to three numbers.
TEST(CounterRandom, ResumesFromItsCounterAnywhere) {
  CounterRandom original(7, 9);
  for (int drawn = 0; drawn < 20; ++drawn) {
    CounterRandom resumed(7, 9);
    resumed.set_counter(original.counter());
    CounterRandom copy = original;
    for (int i = 0; i < 9; ++i) {
      const uint32_t wanted = copy.NextU32();
      EXPECT_EQ(resumed.NextU32(), wanted);
    }
    original.NextU32();
  }
}

TEST(CounterRandom, StreamsAndSeedsDiffer) {
  std::set<uint32_t> firsts;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    for (uint64_t stream = 0; stream < 10; ++stream) firsts.insert(CounterRandom(seed, stream).NextU32());
  }
  EXPECT_EQ(firsts.size(), 100U);
}

TEST(CounterRandom, UniformAndNormalHaveTheirMoments) {
  CounterRandom random(3, 0);
  constexpr int kDraws = 200000;
  double uniform = 0;
  double normal = 0;
  double square = 0;
  for (int i = 0; i < kDraws; ++i) {
    const float u = random.Uniform();
    ASSERT_GE(u, 0.0F);
    ASSERT_LT(u, 1.0F);
    uniform += u;
    const float z = random.Normal();
    ASSERT_TRUE(std::isfinite(z));
    normal += z;
    square += static_cast<double>(z) * z;
  }
  // Five standard errors of each mean.
  EXPECT_NEAR(uniform / kDraws, 0.5, 5 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(normal / kDraws, 0.0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(square / kDraws, 1.0, 5 * std::sqrt(2.0 / kDraws));
}

TEST(CounterRandom, BelowIsEvenAndInRange) {
  CounterRandom random(5, 0);
  std::map<uint64_t, int> counts;
  for (int i = 0; i < 60000; ++i) ++counts[random.Below(6)];
  ASSERT_EQ(counts.size(), 6U);
  for (const auto& [value, count] : counts) {
    EXPECT_LT(value, 6U);
    EXPECT_NEAR(count, 10000, 5 * std::sqrt(60000 * (1.0 / 6) * (5.0 / 6)));
  }
  EXPECT_EQ(random.Below(1), 0U);
  const uint64_t big = (uint64_t{1} << 63) + 1;
  for (int i = 0; i < 100; ++i) EXPECT_LT(random.Below(big), big);
}

}  // namespace
}  // namespace nla
