// Generation against a plain loop of whole forward passes; slots, prefix and order change nothing.
#include "model/generator.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "model/model_testing.h"
#include "nla/error.h"

namespace nla {
namespace {

using testing::TinyLlama;

using Prompts = std::vector<std::vector<TokenId>>;

// `count` prompts of 1 to 20 tokens.
Prompts MakePrompts(int64_t count) {
  CounterRandom random(4, 0);
  Prompts prompts(count);
  for (auto& prompt : prompts) {
    prompt.resize(1 + random.Below(20));
    for (TokenId& id : prompt) id = static_cast<TokenId>(random.Below(288));
  }
  return prompts;
}

SamplingOptions Options(double temperature, int64_t max_new_tokens, std::vector<TokenId> stop_ids = {}) {
  SamplingOptions options;
  options.temperature = temperature;
  options.max_new_tokens = max_new_tokens;
  options.stop_ids = std::move(stop_ids);
  return options;
}

class GeneratorTest : public ::testing::Test {
 protected:
  struct Plan {
    SamplingOptions sampling;
    int64_t slots = 4;
    size_t prefix = 0;  // tokens of every prompt that are given as the shared prefix
  };

  std::vector<Generation> Generate(const Prompts& prompts, const Plan& plan) const {
    const at::NoGradGuard no_grad;
    Generator generator(decoder_, plan.sampling, plan.slots);
    generator.SetPrefix(std::span(prompts[0]).first(plan.prefix));
    std::vector<Generation> results(prompts.size());
    std::set<int64_t> finished;
    generator.Run(
        static_cast<int64_t>(prompts.size()),
        [&](int64_t i) {
          return GenerationRequest{decoder_.Embed(std::span(prompts[i]).subspan(plan.prefix)),
                                   static_cast<uint64_t>(100 + i)};
        },
        [&](int64_t i, Generation result) {
          EXPECT_TRUE(finished.insert(i).second) << i;
          results[i] = std::move(result);
        });
    EXPECT_EQ(finished.size(), prompts.size());
    return results;
  }

  // One prompt, no cache: the whole sequence goes through the model for every token.
  Generation WrittenOut(const std::vector<TokenId>& prompt, const SamplingOptions& options, uint64_t seed) const {
    const at::NoGradGuard no_grad;
    CounterRandom random(seed, 0);
    std::vector<TokenId> ids = prompt;
    Generation result;
    while (static_cast<int64_t>(result.ids.size()) < options.max_new_tokens) {
      const auto length = static_cast<int64_t>(ids.size());
      const at::Tensor last = decoder_.Forward(decoder_.Embed(ids), {0, {length}}).narrow(0, length - 1, 1);
      at::Tensor logits = decoder_.Logits(decoder_.FinalNorm(last)).contiguous();
      const SampledToken token =
          SampleToken({logits.mutable_data_ptr<float>(), static_cast<size_t>(logits.numel())}, options, random);
      if (std::find(options.stop_ids.begin(), options.stop_ids.end(), token.id) != options.stop_ids.end()) {
        result.reason = FinishReason::kStop;
        break;
      }
      result.ids.push_back(token.id);
      result.logprobs.push_back(token.logprob);
      ids.push_back(token.id);
    }
    return result;
  }

  static void ExpectSame(const std::vector<Generation>& found, const std::vector<Generation>& wanted) {
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].ids, wanted[i].ids) << i;
      EXPECT_EQ(found[i].reason, wanted[i].reason) << i;
      ASSERT_EQ(found[i].logprobs.size(), wanted[i].logprobs.size());
      for (size_t t = 0; t < found[i].logprobs.size(); ++t) {
        EXPECT_NEAR(found[i].logprobs[t], wanted[i].logprobs[t], 1e-3) << i << " " << t;
      }
    }
  }

  Decoder decoder_ = Decoder::Load(Checkpoint::Open(TinyLlama()), {});
};

TEST_F(GeneratorTest, EqualsALoopOfWholeForwards) {
  const Prompts prompts = MakePrompts(6);
  for (const double temperature : {0.0, 0.8}) {
    const SamplingOptions options = Options(temperature, 15);
    std::vector<Generation> wanted;
    for (size_t i = 0; i < prompts.size(); ++i) wanted.push_back(WrittenOut(prompts[i], options, 100 + i));
    ExpectSame(Generate(prompts, {options, 4}), wanted);
  }
}

TEST_F(GeneratorTest, TheNumberOfSlotsChangesNothing) {
  const Prompts prompts = MakePrompts(11);
  for (const double temperature : {0.0, 1.0}) {
    // Stop tokens make the requests end at different times, so that slots are handed on.
    const SamplingOptions options = Options(temperature, 12, {3, 50, 77, 120, 200, 210, 220, 230, 240, 250});
    const std::vector<Generation> one = Generate(prompts, {options, 1});
    for (const int64_t slots : {2, 3, 11, 64}) ExpectSame(Generate(prompts, {options, slots}), one);
  }
}

TEST_F(GeneratorTest, ASharedPrefixChangesNothing) {
  Prompts prompts = MakePrompts(5);
  const std::vector<TokenId> start = {7, 9, 100, 33, 5, 61, 2};
  for (auto& prompt : prompts) prompt.insert(prompt.begin(), start.begin(), start.end());
  for (const double temperature : {0.0, 1.0}) {
    const SamplingOptions options = Options(temperature, 10);
    const std::vector<Generation> without = Generate(prompts, {options, 3, 0});
    ExpectSame(Generate(prompts, {options, 3, start.size()}), without);
    ExpectSame(Generate(prompts, {options, 3, 1}), without);
  }
}

TEST_F(GeneratorTest, EndsBeforeAStopToken) {
  const Prompts prompts = MakePrompts(8);
  const std::vector<Generation> free = Generate(prompts, {Options(0, 10), 4});
  for (size_t i = 0; i < free.size(); ++i) {
    EXPECT_EQ(free[i].ids.size(), 10U);
    EXPECT_EQ(free[i].reason, FinishReason::kLength);
  }
  const TokenId stop = free[0].ids[4];
  const std::vector<Generation> stopped = Generate(prompts, {Options(0, 10, {stop}), 4});
  for (size_t i = 0; i < free.size(); ++i) {
    const auto place = std::find(free[i].ids.begin(), free[i].ids.end(), stop);
    EXPECT_EQ(stopped[i].ids, std::vector<TokenId>(free[i].ids.begin(), place)) << i;
    EXPECT_EQ(stopped[i].reason, place == free[i].ids.end() ? FinishReason::kLength : FinishReason::kStop) << i;
  }
  EXPECT_EQ(stopped[0].reason, FinishReason::kStop);
}

TEST_F(GeneratorTest, ReturnsAtMostTheTokensAskedFor) {
  for (const int64_t most : {1, 2}) {
    for (const Generation& one : Generate(MakePrompts(5), {Options(1, most), 2})) {
      EXPECT_EQ(static_cast<int64_t>(one.ids.size()), most);
      EXPECT_EQ(one.logprobs.size(), one.ids.size());
    }
  }
}

TEST_F(GeneratorTest, EndsWhereTheModelEnds) {
  Prompts prompts = MakePrompts(3);
  prompts[1].assign(500, 11);  // the model has 512 positions
  const std::vector<Generation> results = Generate(prompts, {Options(0, 40), 2});
  EXPECT_EQ(results[0].ids.size(), 40U);
  EXPECT_EQ(results[2].ids.size(), 40U);
  EXPECT_EQ(results[1].ids.size(), 13U);  // positions 500 … 511, and the token after the last
  EXPECT_EQ(results[1].reason, FinishReason::kLength);
  prompts[1].assign(513, 11);
  try {
    Generate({prompts[1]}, {Options(0, 40), 2});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("too long for the model: found 513 tokens"), std::string::npos);
  }
}

TEST_F(GeneratorTest, RunsAgainAndWithNoRequests) {
  const at::NoGradGuard no_grad;
  Generator generator(decoder_, Options(0, 3), 2);
  int finished = 0;
  const auto next = [&](int64_t) { return GenerationRequest{decoder_.Embed(std::vector<TokenId>{1, 2}), 0}; };
  generator.Run(0, next, [&](int64_t, const Generation&) { ++finished; });
  EXPECT_EQ(finished, 0);
  std::vector<Generation> results;
  for (int run = 0; run < 2; ++run) {
    generator.Run(1, next, [&](int64_t, Generation result) { results.push_back(std::move(result)); });
  }
  EXPECT_EQ(results.at(0).ids, results.at(1).ids);
}

}  // namespace
}  // namespace nla
