// The engine behind its thread: many callers, pausing, changing weights, draining.
#include "engine/engine_thread.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "engine/engine_testing.h"
#include "nla/error.h"

namespace nla {
namespace {

using testing::Heard;
using testing::Sampling;
using testing::TinyModel;

// A reply that can be waited for.
class Pending {
 public:
  EngineSink Sink() {
    return [this](RequestId, const EngineEvent& event) {
      if (event.id >= 0) heard_.ids.push_back(event.id);
      ++events_;
      if (!event.finish) return;
      heard_.finish = event.finish;
      done_.set_value();
    };
  }
  const Heard& Wait() {
    if (future_.valid()) future_.get();
    return heard_;
  }
  int events() const { return events_; }

 private:
  Heard heard_;
  std::atomic<int> events_ = 0;
  std::promise<void> done_;
  std::future<void> future_ = done_.get_future();
};

class EngineThreadTest : public ::testing::Test {
 protected:
  EngineRequest Request(TokenId first, double temperature = 0, int64_t tokens = 12) const {
    const at::NoGradGuard no_grad;
    return {.prompt_TD = model_.decoder.Embed(std::vector<TokenId>{first, 60, 70}),
            .sampling = Sampling(temperature, tokens),
            .seed = static_cast<uint64_t>(first)};
  }
  std::vector<TokenId> Ask(TokenId first, double temperature = 0) {
    Pending pending;
    engine_.Submit(Request(first, temperature), pending.Sink());
    return pending.Wait().ids;
  }
  static void WaitForEvents(const Pending& pending, int count) {
    while (pending.events() < count) std::this_thread::yield();
  }

  TinyModel model_ = testing::LoadTinyModel();
  EngineThread engine_{model_.decoder, model_.tokenizer, {.max_running = 8}};
};

TEST_F(EngineThreadTest, AnswersManyCallers) {
  std::vector<std::vector<TokenId>> wanted;
  for (TokenId i = 0; i < 24; ++i) wanted.push_back(Ask(i, 0.9));
  std::vector<std::thread> callers;
  for (TokenId caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&, caller] {
      for (TokenId i = caller; i < 24; i += 6) EXPECT_EQ(Ask(i, 0.9), wanted[i]) << i;
    });
  }
  for (std::thread& caller : callers) caller.join();
  const EngineCounts counts = engine_.counts();
  EXPECT_EQ(counts.aborted, 0);
  EXPECT_THROW(engine_.Submit({}, [](RequestId, const EngineEvent&) {}), Error);
}

TEST_F(EngineThreadTest, PausesInThreeWays) {
  const std::vector<TokenId> wanted = Ask(3);
  for (const PauseMode mode : {PauseMode::kInPlace, PauseMode::kRetract, PauseMode::kAbort}) {
    Pending before, during;
    engine_.Submit(Request(3, 0, 400), before.Sink());
    WaitForEvents(before, 2);
    EXPECT_EQ(engine_.Pause(mode), 1);
    EXPECT_TRUE(engine_.paused());
    engine_.Submit(Request(3), during.Sink());
    const int events = before.events();
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_EQ(before.events(), events);
    EXPECT_EQ(during.events(), 0);
    engine_.Continue();
    EXPECT_EQ(during.Wait().ids, wanted);
    const Heard& heard = before.Wait();
    EXPECT_EQ(heard.finish->reason, mode == PauseMode::kAbort ? FinishReason::kAbort : FinishReason::kLength);
    if (mode != PauseMode::kAbort) {
      EXPECT_EQ(heard.ids.size(), 400U);
    }
  }
}

TEST_F(EngineThreadTest, WeightsChangeBetweenSteps) {
  const std::vector<TokenId> before = Ask(5);
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> old;
  engine_.WithWeights([&] {
    for (NamedTensor& weight : model_.decoder.Weights()) {
      old.push_back(weight.tensor.clone());
      weight.tensor.add_(0.05);
    }
  });
  EXPECT_NE(Ask(5), before);
  Pending running;
  engine_.Submit(Request(5, 0, 300), running.Sink());
  WaitForEvents(running, 2);
  engine_.WithWeights([&] {
    size_t i = 0;
    for (NamedTensor& weight : model_.decoder.Weights()) weight.tensor.copy_(old[i++]);
  });
  EXPECT_EQ(running.Wait().ids.size(), 300U);
  EXPECT_EQ(Ask(5), before);
  EXPECT_THROW(engine_.WithWeights([] { throw std::runtime_error("no such file"); }), std::runtime_error);
  EXPECT_EQ(Ask(5), before);
}

TEST_F(EngineThreadTest, AbortsAndFlushes) {
  Pending running;
  const RequestId id = engine_.Submit(Request(3, 0, 400), running.Sink());
  WaitForEvents(running, 1);
  EXPECT_FALSE(engine_.FlushCache());
  EXPECT_TRUE(engine_.Abort(id, "enough"));
  EXPECT_EQ(running.Wait().finish->message, "enough");
  EXPECT_TRUE(engine_.FlushCache());
}

TEST_F(EngineThreadTest, Drains) {
  Pending running;
  engine_.Submit(Request(3, 0, 50), running.Sink());
  engine_.Drain(60);
  EXPECT_EQ(running.Wait().ids.size(), 50U);
  EXPECT_THROW(engine_.Submit(Request(3), [](RequestId, const EngineEvent&) {}), Error);
}

TEST_F(EngineThreadTest, DrainingEndsWhatDoesNotEnd) {
  Pending running;
  engine_.Pause(PauseMode::kInPlace);
  engine_.Submit(Request(3), running.Sink());
  engine_.Drain(0.02);
  EXPECT_EQ(running.Wait().finish->reason, FinishReason::kAbort);
}

TEST_F(EngineThreadTest, GoesAwayWhileItRuns) {
  Pending running;
  {
    EngineThread other(model_.decoder, model_.tokenizer, {.max_running = 2});
    other.Submit(Request(3, 0, 400), running.Sink());
  }
  EXPECT_EQ(running.Wait().finish->reason, FinishReason::kAbort);
}

}  // namespace
}  // namespace nla
