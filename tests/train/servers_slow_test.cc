// Reinforcement learning with replies from servers does what it does with its own, and goes on with other servers.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "base/error_testing.h"
#include "client/fake_server_testing.h"
#include "nla/error.h"
#include "serve/program_testing.h"
#include "train/grpo/run.h"
#include "train/rl_testing.h"

namespace nla {
namespace {

using ::testing::HasSubstr;

// The servers' weights are merged once and stored in fp32, where the trainer adds its adapters at every product.
constexpr double kTolerance = 2e-3;

class RlServers : public testing::Test {
 protected:
  std::string UrlOf(const serve::ServeProcess& server) const {
    return fmt::format("http://127.0.0.1:{}", server.port());
  }
  RlOptions Options(const std::string& out, std::vector<std::string> servers) const {
    RlOptions options = rl_.Options(out);
    options.steps = 4;
    options.eval_every = 2;
    options.save_every = 2;
    options.rollout.servers = std::move(servers);
    return options;
  }
  std::vector<double> Figures(const std::string& out, const std::string& kind, const std::string& field) const {
    return FieldOf(ReadRlLines(rl_ / out / "metrics.jsonl"), kind, field);
  }
  void ExpectSame(const std::string& out, const std::string& wanted) const {
    for (const auto& [kind, field] : std::vector<std::pair<std::string, std::string>>{
             {"step", "reward"}, {"step", "entropy"}, {"step", "av_grad_norm"}, {"step", "ar_loss"}, {"eval", "mse"}}) {
      const std::vector<double> a = Figures(out, kind, field);
      const std::vector<double> b = Figures(wanted, kind, field);
      ASSERT_EQ(a.size(), b.size()) << field;
      ASSERT_FALSE(a.empty()) << field;
      for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], kTolerance * std::abs(b[i])) << field << " " << i;
    }
  }

  TinyRl rl_;
};

TEST_F(RlServers, WriteWhatTheEngineInTheProcessWrites) {
  // The servers begin with the pair's weights; after a step they must have the step's.
  const serve::ServeProcess first({"--pair", (rl_ / "pair").string(), "--dtype", "fp32"});
  const serve::ServeProcess second({"--pair", (rl_ / "pair").string(), "--dtype", "fp32"});
  TrainRl(Options("own", {}), StartMode::kFresh);
  TrainRl(Options("one", {UrlOf(first)}), StartMode::kFresh);
  ExpectSame("one", "own");
  TrainRl(Options("two", {UrlOf(first), UrlOf(second)}), StartMode::kFresh);
  ExpectSame("two", "own");
  for (const double gap : Figures("one", "step", "rollout_gap")) EXPECT_LT(gap, 1e-4);
}

TEST_F(RlServers, GetTheWeightsOfTheCheckpointThatARunGoesOnFrom) {
  TrainRl(Options("own", {}), StartMode::kFresh);
  RlOptions options = Options("run", {});
  options.steps = 2;
  TrainRl(options, StartMode::kFresh);
  const serve::ServeProcess server({"--pair", (rl_ / "pair").string(), "--dtype", "fp32"});
  TrainRl(Options("run", {UrlOf(server)}), StartMode::kResume);
  ASSERT_EQ(Figures("run", "step", "reward").size(), 4);
  for (size_t i = 0; i < 4; ++i) {
    const double wanted = Figures("own", "step", "reward")[i];
    EXPECT_NEAR(Figures("run", "step", "reward")[i], wanted, kTolerance * std::abs(wanted)) << i;
  }
}

// A vLLM's stand-in, which reads the adapters as a vLLM does and lets `nla serve` write.
TEST_F(RlServers, WriteFromAdaptersInAVllm) {
  const serve::ServeProcess behind({"--pair", (rl_ / "pair").string(), "--dtype", "fp32"});
  const FakeServer server(rl_.tiny(), {{"kind", "vllm"}, {"behind", UrlOf(behind)}, {"spoil", {"stale", "cut"}}});
  TrainRl(Options("own", {}), StartMode::kFresh);
  TrainRl(Options("run", {server.url()}), StartMode::kFresh);
  ExpectSame("run", "own");
  for (const double gap : Figures("run", "step", "rollout_gap")) EXPECT_LT(gap, 1e-4);
  std::vector<std::string> models;
  for (const nlohmann::json& request : server.Requests()) {
    if (models.empty() || models.back() != request["model"]) models.push_back(request["model"]);
  }
  ASSERT_EQ(models.size(), 5);  // before the first step, and after each
  for (size_t i = 0; i < models.size(); ++i) {
    EXPECT_TRUE(models[i].starts_with("run-") && models[i].ends_with(fmt::format("-step-{}", i))) << models[i];
  }
}

TEST_F(RlServers, RefuseAVllmWhoseNumbersAreNotThoseTrainedOn) {
  const serve::ServeProcess behind({"--pair", (rl_ / "pair").string(), "--dtype", "fp32"});
  const FakeServer server(rl_.tiny(), {{"kind", "vllm"}, {"behind", UrlOf(behind)}, {"raw", true}});
  RlOptions options = Options("run", {server.url()});
  EXPECT_THAT(Refusal([&] { TrainRl(options, StartMode::kFresh); }), HasSubstr("--logprobs-mode processed_logprobs"));
  options.preflight = false;
  EXPECT_THAT(Refusal([&] { TrainRl(options, StartMode::kReplace); }), HasSubstr("true, or temperature 1"));
  options.pair = (rl_ / "pair_whole").string();
  EXPECT_THAT(Refusal([&] { TrainRl(options, StartMode::kReplace); }), HasSubstr("but no whole weights"));
}

TEST_F(RlServers, ThatWantAKeyAreNamed) {
  const serve::ServeProcess server({"--pair", (rl_ / "pair").string(), "--dtype", "fp32", "--api-key", "secret"});
  try {
    TrainRl(Options("run", {UrlOf(server)}), StartMode::kFresh);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the server wants a key"));
    EXPECT_THAT(error.what(), HasSubstr("Set NLA_API_KEY"));
  }
}

}  // namespace
}  // namespace nla
