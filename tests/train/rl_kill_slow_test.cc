// A reinforcement-learning run killed with SIGKILL at random moments and resumed each time ends with the metrics, the
// replies and the weights of one that was left alone, bit for bit.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

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

  const KilledRuns killed = RunWithKills(rl / "killed", "metrics.jsonl",
                                         {.kills = kKills,
                                          .seed = 3,
                                          .lines = 12,
                                          .lines_before = 4,
                                          .delay = std::chrono::microseconds(60000),
                                          .start = std::chrono::milliseconds(400)},
                                         [&](bool resume) { return arguments("killed", resume); });
  ASSERT_EQ(killed.code, 0);
  EXPECT_GE(killed.kills, kKills / 2) << "the run was hardly killed: the test shows nothing";
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
