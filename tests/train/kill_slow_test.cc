// A training program killed with SIGKILL at random moments and resumed each time ends with the losses, the metrics and
// the weights of one that was left alone, bit for bit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

#include "base/file.h"
#include "train/killing_testing.h"
#include "train/train_testing.h"

namespace nla {
namespace {

class KilledRun : public testing::TestWithParam<const char*> {};

TEST_P(KilledRun, EndsAsIfNothingHadHappened) {
  const std::string role = GetParam();
  TestFolder folder;
  WriteTinyModel(folder / "model");
  WriteTinyDataset(folder / "data.parquet", role + "_sft", 200, folder / "model");
  std::ofstream(folder / "recipe.yaml") << fmt::format(
      "train_{}:\n  base_model: {}\n  dataset: {}\n  heldout_fraction: 0.2\n  steps: 120\n  batch_size: 8\n"
      "  lora: {{rank: 4, alpha: 8}}\n  lr: 0.003\n  save_every: 7\n  eval_every: 10\n  eval_rows: 16\n  dtype: fp32\n",
      role, (folder / "model").string(), (folder / "data.parquet").string());
  const auto arguments = [&](const std::string& out, bool resume) {
    std::vector<std::string> all = {
        "train",     role,    (folder / "recipe.yaml").string(),
        "--threads", "2",     "--log-level",
        "warn",      "--set", fmt::format("train_{}.out={}", role, (folder / out).string())};
    if (resume) all.push_back("--resume");
    return all;
  };
  ASSERT_EQ(RunProgram(arguments("whole", false), [] { return false; }).code, 0);

  constexpr int kKills = 12;
  const KilledRuns killed = RunWithKills(folder / "killed", "recipe.yaml",
                                         {.kills = kKills,
                                          .seed = role == "av" ? 1U : 2U,
                                          .lines = 24,
                                          .lines_before = 8,
                                          .delay = std::chrono::microseconds(20000),
                                          .start = std::chrono::milliseconds(200)},
                                         [&](bool resume) { return arguments("killed", resume); });
  ASSERT_EQ(killed.code, 0);
  EXPECT_GE(killed.kills, kKills / 2) << "the run was hardly killed: the test shows nothing";
  EXPECT_EQ(ReadMetrics(folder / "killed/metrics.jsonl"), ReadMetrics(folder / "whole/metrics.jsonl"));
  EXPECT_EQ(ReadMetrics(folder / "whole/metrics.jsonl").size(), 120U + 13U);
  const std::string weights = "final/adapter_model.safetensors";
  EXPECT_EQ(ReadFile(folder / "killed" / weights), ReadFile(folder / "whole" / weights));
}

INSTANTIATE_TEST_SUITE_P(Roles, KilledRun, testing::Values("av", "ar"));

TEST(InterruptedRun, SavesAndSaysHowToGoOn) {
  TestFolder folder;
  WriteTinyModel(folder / "model");
  WriteTinyDataset(folder / "data.parquet", "av_sft", 64, folder / "model");
  std::ofstream(folder / "recipe.yaml") << fmt::format(
      "train_av: {{base_model: {}, dataset: {}, out: {}, steps: 100000, batch_size: 8, save_every: 0, dtype: fp32}}\n",
      (folder / "model").string(), (folder / "data.parquet").string(), (folder / "run").string());
  // --foreground: one signal; otherwise the process group gets a second one, which ends a run at once.
  const std::string command = fmt::format("timeout --foreground -s INT 4 {} train av {} 2> {}", NLA_PROGRAM,
                                          (folder / "recipe.yaml").string(), (folder / "err").string());
  EXPECT_NE(std::system(command.c_str()), 0);
  const std::string error = ReadFile(folder / "err");
  EXPECT_NE(error.find("Go on with --resume"), std::string::npos) << error;
  EXPECT_TRUE(fs::exists(folder / "run/checkpoints"));
  EXPECT_FALSE(fs::exists(folder / "run/final"));
}

}  // namespace
}  // namespace nla
