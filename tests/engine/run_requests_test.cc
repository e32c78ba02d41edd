// Requests through the engine against a plain loop of whole forward passes; what else is in flight changes nothing.
#include "engine/run_requests.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/engine_testing.h"
#include "nla/error.h"

namespace nla {
namespace {

using testing::MakePrompts;
using testing::Prompts;
using testing::Sampling;
using testing::TinyModel;

class RunRequestsTest : public ::testing::Test {
 protected:
  struct Plan {
    SamplingOptions sampling;
    EngineOptions engine = {.max_running = 4};
  };

  std::vector<Reply> Run(const Prompts& prompts, const Plan& plan) const {
    const at::NoGradGuard no_grad;
    Engine engine(model_.decoder, model_.tokenizer, plan.engine);
    std::vector<Reply> replies(prompts.size());
    std::set<int64_t> finished;
    RunRequests(
        engine, static_cast<int64_t>(prompts.size()),
        [&](int64_t i) {
          return EngineRequest{.prompt_TD = model_.decoder.Embed(prompts[i]),
                               .sampling = plan.sampling,
                               .seed = static_cast<uint64_t>(100 + i)};
        },
        [&](int64_t i, Reply reply) {
          EXPECT_TRUE(finished.insert(i).second) << i;
          replies[i] = std::move(reply);
        });
    EXPECT_EQ(finished.size(), prompts.size());
    EXPECT_TRUE(engine.idle());
    EXPECT_EQ(engine.counts().kv_tokens_used, 0);
    return replies;
  }

  // One prompt, no cache: the whole sequence goes through the model for every token.
  Reply WrittenOut(const std::vector<TokenId>& prompt, const SamplingOptions& options, uint64_t seed) const {
    const at::NoGradGuard no_grad;
    CounterRandom random(seed, 0);
    std::vector<TokenId> ids = prompt;
    Reply reply;
    while (static_cast<int64_t>(reply.ids.size()) < options.max_new_tokens) {
      const auto length = static_cast<int64_t>(ids.size());
      const Decoder& decoder = model_.decoder;
      const at::Tensor last = decoder.Forward(decoder.Embed(ids), {0, {length}}).narrow(0, length - 1, 1);
      at::Tensor logits = decoder.Logits(decoder.FinalNorm(last)).contiguous();
      const SampledToken token =
          SampleToken({logits.mutable_data_ptr<float>(), static_cast<size_t>(logits.numel())}, options, random);
      if (std::find(options.stop_ids.begin(), options.stop_ids.end(), token.id) != options.stop_ids.end()) {
        reply.finish.reason = FinishReason::kStop;
        break;
      }
      reply.ids.push_back(token.id);
      reply.logprobs.push_back(token.logprob);
      ids.push_back(token.id);
    }
    return reply;
  }

  static void ExpectSame(const std::vector<Reply>& found, const std::vector<Reply>& wanted) {
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].ids, wanted[i].ids) << i;
      EXPECT_EQ(found[i].finish.reason, wanted[i].finish.reason) << i;
      ASSERT_EQ(found[i].logprobs.size(), wanted[i].logprobs.size());
      for (size_t t = 0; t < found[i].logprobs.size(); ++t) {
        EXPECT_NEAR(found[i].logprobs[t], wanted[i].logprobs[t], 1e-3) << i << " " << t;
      }
    }
  }

  TinyModel model_ = testing::LoadTinyModel();
};

TEST_F(RunRequestsTest, EqualsALoopOfWholeForwards) {
  const Prompts prompts = MakePrompts(6);
  for (const double temperature : {0.0, 0.8}) {
    const SamplingOptions options = Sampling(temperature, 15);
    std::vector<Reply> wanted;
    for (size_t i = 0; i < prompts.size(); ++i) wanted.push_back(WrittenOut(prompts[i], options, 100 + i));
    ExpectSame(Run(prompts, {options}), wanted);
  }
}

TEST_F(RunRequestsTest, TheCompanyChangesNothing) {
  const Prompts prompts = MakePrompts(11);
  for (const double temperature : {0.0, 1.0}) {
    // Stop tokens make the requests end at different times, so that places are handed on.
    const SamplingOptions options = Sampling(temperature, 12, {3, 50, 77, 120, 200, 210, 220, 230, 240, 250});
    const std::vector<Reply> one = Run(prompts, {options, {.max_running = 1}});
    for (const int64_t running : {2, 3, 11, 64}) ExpectSame(Run(prompts, {options, {.max_running = running}}), one);
    // Prompts read in pieces, and a cache that holds hardly two of them.
    ExpectSame(Run(prompts, {options, {.max_running = 11, .prefill_rows = 3}}), one);
    ExpectSame(Run(prompts, {options, {.max_running = 11, .kv_tokens = 64}}), one);
  }
}

TEST_F(RunRequestsTest, TheCompanyChangesNotOneBitOfPackedWeights) {
  const Prompts prompts = MakePrompts(11);
  const SamplingOptions options = Sampling(1.0, 12, {3, 50, 77, 120, 200, 210, 220, 230, 240, 250});
  for (const packed::Format format : {packed::Format::kFloat, packed::Format::kInt8}) {
    model_.decoder.Pack(format);
    const std::vector<Reply> one = Run(prompts, {options, {.max_running = 1}});
    for (const EngineOptions& engine :
         {EngineOptions{.max_running = 3}, EngineOptions{.max_running = 11},
          EngineOptions{.max_running = 11, .prefill_rows = 3}, EngineOptions{.max_running = 11, .kv_tokens = 64}}) {
      const std::vector<Reply> many = Run(prompts, {options, engine});
      for (size_t i = 0; i < one.size(); ++i) {
        EXPECT_EQ(many[i].ids, one[i].ids) << i;
        EXPECT_EQ(many[i].logprobs, one[i].logprobs) << i;
      }
    }
  }
}

TEST_F(RunRequestsTest, SharedBeginningsChangeNothing) {
  Prompts prompts = MakePrompts(9);
  std::vector<TokenId> start(37);
  for (size_t i = 0; i < start.size(); ++i) start[i] = static_cast<TokenId>((i * 41 + 7) % 288);
  Prompts with_start;
  for (size_t i = 0; i < prompts.size(); ++i) {
    with_start.push_back(prompts[i]);
    // Beginnings that are common as far as 37, 36, 35 … tokens.
    with_start.back().insert(with_start.back().begin(), start.begin(), start.end() - static_cast<int64_t>(i));
  }
  with_start.push_back(with_start[0]);
  for (const double temperature : {0.0, 1.0}) {
    const SamplingOptions options = Sampling(temperature, 10);
    std::vector<Reply> wanted;
    for (size_t i = 0; i < with_start.size(); ++i) wanted.push_back(WrittenOut(with_start[i], options, 100 + i));
    ExpectSame(Run(with_start, {options}), wanted);
    ExpectSame(Run(with_start, {options, {.max_running = 1}}), wanted);
    ExpectSame(Run(with_start, {options, {.max_running = 64, .kv_tokens = 128}}), wanted);
  }
}

TEST_F(RunRequestsTest, EndsBeforeAStopToken) {
  const Prompts prompts = MakePrompts(8);
  const std::vector<Reply> free = Run(prompts, {Sampling(0, 10)});
  for (size_t i = 0; i < free.size(); ++i) {
    EXPECT_EQ(free[i].ids.size(), 10U);
    EXPECT_EQ(free[i].finish.reason, FinishReason::kLength);
  }
  const TokenId stop = free[0].ids[4];
  const std::vector<Reply> stopped = Run(prompts, {Sampling(0, 10, {stop})});
  for (size_t i = 0; i < free.size(); ++i) {
    const auto place = std::find(free[i].ids.begin(), free[i].ids.end(), stop);
    EXPECT_EQ(stopped[i].ids, std::vector<TokenId>(free[i].ids.begin(), place)) << i;
    const bool stops = place != free[i].ids.end();
    EXPECT_EQ(stopped[i].finish.reason, stops ? FinishReason::kStop : FinishReason::kLength) << i;
    EXPECT_EQ(stopped[i].finish.stop_id, stops ? stop : -1);
  }
  EXPECT_EQ(stopped[0].finish.reason, FinishReason::kStop);
}

TEST_F(RunRequestsTest, ReturnsAtMostTheTokensAskedFor) {
  for (const int64_t most : {1, 2}) {
    for (const Reply& one : Run(MakePrompts(5), {Sampling(1, most), {.max_running = 2}})) {
      EXPECT_EQ(static_cast<int64_t>(one.ids.size()), most);
      EXPECT_EQ(one.logprobs.size(), one.ids.size());
    }
  }
}

TEST_F(RunRequestsTest, EndsWhereTheModelEnds) {
  Prompts prompts = MakePrompts(3);
  prompts[1].assign(500, 11);  // the model has 512 positions
  const std::vector<Reply> replies = Run(prompts, {Sampling(0, 40), {.max_running = 2}});
  EXPECT_EQ(replies[0].ids.size(), 40U);
  EXPECT_EQ(replies[2].ids.size(), 40U);
  EXPECT_EQ(replies[1].ids.size(), 13U);  // positions 500 … 511, and the token after the last
  EXPECT_EQ(replies[1].finish.reason, FinishReason::kLength);
  prompts[1].assign(513, 11);
  try {
    Run({prompts[1]}, {Sampling(0, 40)});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("too long for the model: found 513 tokens"), std::string::npos);
  }
}

TEST_F(RunRequestsTest, RunsAgainAndWithNoRequests) {
  const at::NoGradGuard no_grad;
  Engine engine(model_.decoder, model_.tokenizer, {.max_running = 2});
  int finished = 0;
  const auto next = [&](int64_t) {
    return EngineRequest{.prompt_TD = model_.decoder.Embed(std::vector<TokenId>{1, 2}), .sampling = Sampling(0, 3)};
  };
  RunRequests(engine, 0, next, [&](int64_t, const Reply&) { ++finished; });
  EXPECT_EQ(finished, 0);
  std::vector<Reply> replies;
  for (int run = 0; run < 2; ++run) {
    RunRequests(engine, 1, next, [&](int64_t, Reply reply) { replies.push_back(std::move(reply)); });
  }
  EXPECT_EQ(replies.at(0).ids, replies.at(1).ids);
}

}  // namespace
}  // namespace nla
