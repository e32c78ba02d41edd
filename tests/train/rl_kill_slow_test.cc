// A reinforcement-learning run killed with SIGKILL at random moments and resumed each time ends with the metrics, the
// replies and the weights of one that was left alone, bit for bit.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <random>

#include "base/file.h"
#include "train/killing_testing.h"
#include "train/rl_testing.h"

namespace nla {
namespace {

TEST(KilledRlRun, EndsAsIfNothingHadHappened) {
  constexpr int kKills = 10;
  TinyRl rl;
  std::ofstream(rl / "recipe.yaml") << rl.Recipe("whole");
  const auto arguments = [&](const std::string& out, bool resume) {
    std::vector<std::string> all = {"train",
                                    "rl",
                                    (rl / "recipe.yaml").string(),
                                    "--threads",
                                    "2",
                                    "--log-level",
                                    "warn",
                                    "--set",
                                    "train_rl.out=" + (rl / out).string(),
                                    "--set",
                                    "train_rl.steps=40",
                                    "--set",
                                    "train_rl.save_every=3",
                                    "--set",
                                    "train_rl.eval_every=4"};
    if (resume) all.emplace_back("--resume");
    return all;
  };
  ASSERT_EQ(RunProgram(arguments("whole", false), [] { return false; }).code, 0);

  std::mt19937 random(3);
  const fs::path metrics = rl / "killed/metrics.jsonl";
  int kills = 0;
  Ending ending{.killed = true, .code = 0};
  while (ending.killed) {
    // Near the line of metrics.jsonl where the last one was killed, and a little later, so that a kill can fall into a
    // rollout, an update, an evaluation or a save; every fourth soon after the start.
    const int64_t last_line = Lines(metrics) + static_cast<int64_t>(random() % 12) - 4;
    const auto delay = std::chrono::microseconds(random() % 60000);
    const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(random() % 400);
    std::optional<std::chrono::steady_clock::time_point> reached;
    ending = RunProgram(arguments("killed", fs::exists(metrics)), [&] {
      const auto now = std::chrono::steady_clock::now();
      if (kills >= kKills) return false;
      if (kills % 4 == 3) return now >= soon;
      if (!reached && Lines(metrics) >= last_line) reached = now;
      return reached && now >= *reached + delay;
    });
    kills += ending.killed ? 1 : 0;
  }
  ASSERT_EQ(ending.code, 0);
  EXPECT_GE(kills, kKills / 2) << "the run was hardly killed: the test shows nothing";
  EXPECT_EQ(ReadRlLines(rl / "killed/metrics.jsonl"), ReadRlLines(rl / "whole/metrics.jsonl"));
  EXPECT_EQ(ReadRlLines(rl / "killed/rollouts.jsonl"), ReadRlLines(rl / "whole/rollouts.jsonl"));
  EXPECT_EQ(FieldOf(ReadRlLines(rl / "whole/metrics.jsonl"), "step", "reward").size(), 40U);
  for (const char* pair : {"final", "best"}) {
    for (const char* weights :
         {"av/adapter_model.safetensors", "ar/adapter_model.safetensors", "ar/value_head.safetensors"}) {
      EXPECT_EQ(ReadFile(rl / "killed" / pair / weights), ReadFile(rl / "whole" / pair / weights)) << pair << weights;
    }
  }
}

}  // namespace
}  // namespace nla
