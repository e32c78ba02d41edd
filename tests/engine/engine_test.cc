// The engine's surface: events, stop strings, penalties, shared prompts, aborting, retracting, and what it refuses.
#include "engine/engine.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "engine/engine_testing.h"
#include "nla/error.h"

namespace nla {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Heard;
using testing::Into;
using testing::Sampling;
using testing::TinyModel;

class EngineTest : public ::testing::Test {
 protected:
  EngineRequest Request(const std::vector<TokenId>& prompt, const SamplingOptions& sampling, uint64_t seed = 0) const {
    const at::NoGradGuard no_grad;
    return {.prompt_TD = model_.decoder.Embed(prompt), .sampling = sampling, .seed = seed};
  }
  Heard Ask(EngineRequest request) {
    Heard heard;
    engine_.Submit(std::move(request), Into(heard));
    RunDown();
    return heard;
  }
  void RunDown() {
    while (engine_.Step()) {
    }
  }
  std::string Refusal(const EngineRequest& request) const {
    try {
      engine_.Check(request);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  TinyModel model_ = testing::LoadTinyModel();
  Engine engine_{model_.decoder, model_.tokenizer, {.max_running = 4, .kv_tokens = 1024, .prefill_rows = 16}};
  const std::vector<TokenId> prompt_ = {7, 9, 100, 33, 5, 61, 2, 80, 4, 9, 17, 31, 200, 201, 202, 203, 204, 205, 206};
};

TEST_F(EngineTest, TellsEveryTokenAndTheEnd) {
  const Heard heard = Ask(Request(prompt_, Sampling(0, 6)));
  EXPECT_EQ(heard.ids.size(), 6U);
  ASSERT_TRUE(heard.finish);
  EXPECT_EQ(heard.finish->reason, FinishReason::kLength);
  EXPECT_EQ(heard.text, model_.tokenizer.Decode(heard.ids));
  for (const float logprob : heard.logprobs) EXPECT_LE(logprob, 0);
}

TEST_F(EngineTest, AStopTokenIsTold) {
  const Heard free = Ask(Request(prompt_, Sampling(8, 6), 3));
  const TokenId stop = free.ids[2];
  ASSERT_EQ(std::count(free.ids.begin(), free.ids.end(), stop), 1);
  EngineRequest request = Request(prompt_, Sampling(8, 6, {stop}), 3);
  const Heard stopped = Ask(request);
  EXPECT_THAT(stopped.ids, ElementsAre(free.ids[0], free.ids[1], stop));
  EXPECT_EQ(stopped.finish->stop_id, stop);
  EXPECT_EQ(stopped.text, model_.tokenizer.Decode(std::span(free.ids).first(2)));
  request.trim_stop = false;
  EXPECT_EQ(Ask(request).text, model_.tokenizer.Decode(std::span(free.ids).first(3)));
  // Not before min_new_tokens: the third token is then another one.
  request.sampling.min_new_tokens = 4;
  const Heard longer = Ask(request);
  EXPECT_GE(longer.ids.size(), 4U);
  EXPECT_NE(longer.ids[2], stop);
}

TEST_F(EngineTest, AStopStringEndsTheReply) {
  const Heard free = Ask(Request(prompt_, Sampling(0, 12)));
  ASSERT_GE(free.text.size(), 6U);
  EngineRequest request = Request(prompt_, Sampling(0, 12));
  request.stop = {"no such text", free.text.substr(3, 2)};
  const Heard stopped = Ask(request);
  EXPECT_EQ(stopped.finish->reason, FinishReason::kStop);
  EXPECT_EQ(stopped.finish->stop_text, request.stop[1]);
  EXPECT_EQ(stopped.text, free.text.substr(0, free.text.find(request.stop[1])));
}

TEST_F(EngineTest, PenaltiesForbidRepetition) {
  SamplingOptions sampling = Sampling(0, 40);
  const Heard free = Ask(Request(prompt_, sampling));
  const std::set<TokenId> distinct(free.ids.begin(), free.ids.end());
  ASSERT_LT(distinct.size(), free.ids.size());  // greedy replies of the tiny model repeat themselves
  sampling.presence_penalty = 2;
  sampling.frequency_penalty = 2;
  const Heard varied = Ask(Request(prompt_, sampling));
  EXPECT_GT(std::set<TokenId>(varied.ids.begin(), varied.ids.end()).size(), distinct.size());
}

TEST_F(EngineTest, NamesTheMostProbableTokens) {
  EngineRequest request = Request(prompt_, Sampling(0, 3));
  request.top_logprobs = 5;
  std::vector<EngineEvent> events;
  engine_.Submit(request, [&](RequestId, EngineEvent event) { events.push_back(std::move(event)); });
  RunDown();
  ASSERT_EQ(events.size(), 3U);
  for (const EngineEvent& event : events) {
    ASSERT_EQ(event.top.size(), 5U);
    EXPECT_EQ(event.top[0].first, event.id);
    EXPECT_NEAR(event.top[0].second, event.logprob, 1e-5);
    for (size_t i = 1; i < 5; ++i) EXPECT_LE(event.top[i].second, event.top[i - 1].second);
  }
}

TEST_F(EngineTest, TellsHowProbableThePromptWas) {
  const at::NoGradGuard no_grad;
  const auto rows = static_cast<int64_t>(prompt_.size());
  PackedBatch batch;
  batch.lengths = {rows};
  const at::Tensor hidden_TD = model_.decoder.Forward(model_.decoder.Embed(prompt_), batch);
  const at::Tensor wanted_TV = model_.decoder.Logits(model_.decoder.FinalNorm(hidden_TD)).log_softmax(1);
  const auto ask = [&](int64_t from) {
    EngineRequest request = Request(prompt_, Sampling(3, 2));  // the temperature is the reply's
    request.prompt_ids = prompt_;
    request.top_logprobs = 2;
    request.prompt_logprobs_from = from;
    return Ask(std::move(request));
  };
  // In two steps, whole; then from a token on, the rows before it shared.
  for (const int64_t from : {int64_t{0}, int64_t{5}, rows - 1}) {
    const Heard heard = ask(from);
    EXPECT_EQ(heard.cached_tokens, from);
    ASSERT_EQ(static_cast<int64_t>(heard.prompt.logprobs.size()), rows - 1 - from);
    ASSERT_EQ(heard.prompt.top.size(), heard.prompt.logprobs.size());
    for (int64_t i = 0; i < rows - 1 - from; ++i) {
      const at::Tensor row_V = wanted_TV[from + i];
      EXPECT_NEAR(heard.prompt.logprobs[i], row_V[prompt_[from + i + 1]].item<float>(), 1e-4) << from << " " << i;
      EXPECT_EQ(heard.prompt.top[i][0].first, row_V.argmax().item<int64_t>());
      EXPECT_NEAR(heard.prompt.top[i][0].second, row_V.max().item<float>(), 1e-4);
    }
  }
  EXPECT_EQ(Ask(Request(prompt_, Sampling(0, 2))).prompt.logprobs.size(), 0U);
}

TEST_F(EngineTest, ComputesACommonBeginningOnce) {
  const Heard first = Ask(Request(prompt_, Sampling(0, 6)));
  EXPECT_EQ(first.cached_tokens, 0);
  const Heard again = Ask(Request(prompt_, Sampling(0, 6)));
  EXPECT_EQ(again.cached_tokens, static_cast<int64_t>(prompt_.size()) - 1);
  EXPECT_EQ(again.ids, first.ids);
  // The reply is remembered too: a conversation goes on from it.
  std::vector<TokenId> conversation = prompt_;
  conversation.insert(conversation.end(), first.ids.begin(), first.ids.end());
  EXPECT_EQ(Ask(Request(conversation, Sampling(0, 2))).cached_tokens, static_cast<int64_t>(conversation.size()) - 1);
  engine_.FlushCache();
  EXPECT_EQ(Ask(Request(prompt_, Sampling(0, 6))).cached_tokens, 0);
}

TEST_F(EngineTest, ComputesABeginningOnceForThoseThatComeTogether) {
  Engine engine(model_.decoder, model_.tokenizer, {.max_running = 4});
  Heard heard[4];
  for (int i = 0; i < 4; ++i) {
    std::vector<TokenId> prompt = prompt_;
    prompt.push_back(i);
    engine.Submit(Request(prompt, Sampling(0, 5)), Into(heard[i]));
  }
  while (engine.Step()) {
  }
  EXPECT_EQ(heard[0].cached_tokens, 0);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(heard[i].cached_tokens, static_cast<int64_t>(prompt_.size())) << i;
}

// Two vectors whose rows differ in the last bit of one value must not be taken for each other.
TEST_F(EngineTest, ARowIsSharedOnlyBitForBit) {
  const Heard first = Ask(Request(prompt_, Sampling(0, 6)));
  EngineRequest request = Request(prompt_, Sampling(0, 6));
  request.prompt_TD = request.prompt_TD.clone();
  float* row = request.prompt_TD.mutable_data_ptr<float>() + 3 * request.prompt_TD.size(1);
  row[5] = std::nextafter(row[5], 100.0F);
  EXPECT_EQ(Ask(request).cached_tokens, 3);
}

TEST_F(EngineTest, AbortsWaitingAndRunningRequests) {
  Heard heard[6];
  RequestId ids[6];
  for (int i = 0; i < 6; ++i) ids[i] = engine_.Submit(Request({i}, Sampling(0, 20)), Into(heard[i]));
  for (int i = 0; i < 3; ++i) engine_.Step();
  EXPECT_EQ(engine_.counts().running, 4);
  EXPECT_EQ(engine_.counts().waiting, 2);
  EXPECT_TRUE(engine_.Abort(ids[0], "no longer wanted"));
  EXPECT_FALSE(engine_.Abort(ids[0], "no longer wanted"));
  EXPECT_TRUE(engine_.Abort(ids[5], "no longer wanted"));
  RunDown();
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(heard[i].finish) << i;
    const bool aborted = i == 0 || i == 5;
    EXPECT_EQ(heard[i].finish->reason, aborted ? FinishReason::kAbort : FinishReason::kLength) << i;
    EXPECT_EQ(heard[i].finish->message, aborted ? "no longer wanted" : "");
    EXPECT_EQ(heard[i].ids.size(), i == 0 ? heard[0].ids.size() : (i == 5 ? 0U : 20U)) << i;
  }
  EXPECT_EQ(engine_.counts().kv_tokens_used, 0);
  EXPECT_EQ(engine_.AbortAll(""), 0);
}

TEST_F(EngineTest, RetractedRequestsGoOnWhereTheyWere) {
  Heard wanted[4], heard[4];
  for (int i = 0; i < 4; ++i) wanted[i] = Ask(Request({i, 60, 70}, Sampling(0.9, 20), 5 + i));
  engine_.FlushCache();
  for (int i = 0; i < 4; ++i) engine_.Submit(Request({i, 60, 70}, Sampling(0.9, 20), 5 + i), Into(heard[i]));
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 4; ++i) engine_.Step();
    EXPECT_EQ(engine_.RetractAll(), 4);
    EXPECT_EQ(engine_.counts().kv_tokens_used, 0);
  }
  RunDown();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(heard[i].ids, wanted[i].ids) << i;
}

TEST_F(EngineTest, RefusesWhatItCannotAnswer) {
  const at::NoGradGuard no_grad;
  EngineRequest request = Request(prompt_, Sampling(0, 4));
  EXPECT_EQ(Refusal(request), "accepted");
  const auto with = [&](auto change) {
    EngineRequest other = request;
    change(other);
    return Refusal(other);
  };
  EXPECT_THAT(with([](auto& r) { r.prompt_TD = at::zeros({0, 64}); }), HasSubstr("is empty"));
  EXPECT_THAT(with([](auto& r) { r.prompt_TD = at::zeros({2, 63}); }), HasSubstr("found 63, wanted 64"));
  EXPECT_THAT(with([](auto& r) { r.prompt_TD = at::full({2, 64}, std::nan("")); }), HasSubstr("not finite"));
  EXPECT_THAT(with([](auto& r) { r.sampling.temperature = -1; }), HasSubstr("temperature"));
  EXPECT_THAT(with([](auto& r) { r.sampling.top_p = 0; }), HasSubstr("top_p"));
  EXPECT_THAT(with([](auto& r) { r.sampling.min_p = std::numeric_limits<double>::quiet_NaN(); }), HasSubstr("min_p"));
  EXPECT_THAT(with([](auto& r) { r.sampling.repetition_penalty = 0; }), HasSubstr("repetition_penalty"));
  EXPECT_THAT(with([](auto& r) { r.sampling.max_new_tokens = 0; }), HasSubstr("max_new_tokens"));
  EXPECT_THAT(with([](auto& r) { r.sampling.min_new_tokens = 5; }), HasSubstr("min_new_tokens"));
  EXPECT_THAT(with([](auto& r) { r.sampling.stop_ids = {100000}; }), HasSubstr("stop_token_ids"));
  EXPECT_THAT(with([](auto& r) { r.prompt_ids = {-1}; }), HasSubstr("ids of the vocabulary"));
  EXPECT_THAT(with([](auto& r) { r.stop = {""}; }), HasSubstr("stop: is empty"));
  EXPECT_THAT(with([](auto& r) { r.top_logprobs = -1; }), HasSubstr("top_logprobs"));
  EXPECT_THAT(with([](auto& r) { r.prompt_logprobs_from = 0; }), HasSubstr("has no ids"));
  EXPECT_THAT(with([&](auto& r) {
                r.prompt_ids = prompt_;
                r.prompt_logprobs_from = prompt_.size();
              }),
              HasSubstr("index of a token of the prompt"));
}

}  // namespace
}  // namespace nla
