// A training program killed with SIGKILL at random moments and resumed each time ends with the losses, the metrics and
// the weights of one that was left alone, bit for bit.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include "base/file.h"
#include "train/train_testing.h"

namespace nla {
namespace {

struct Ending {
  bool killed = false;
  int code = 0;
};

// Runs the program and kills it after `milliseconds`, unless it ended before; negative lets it run.
Ending RunProgram(const std::vector<std::string>& arguments, int milliseconds) {
  std::vector<char*> argv = {const_cast<char*>(NLA_PROGRAM)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    execv(NLA_PROGRAM, argv.data());
    _exit(127);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (milliseconds >= 0 && std::chrono::steady_clock::now() >= end) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return {.killed = true, .code = 0};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return {.killed = false, .code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
}

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
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(RunProgram(arguments("whole", false), -1).code, 0);
  const auto whole_ms = static_cast<int>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count());

  std::mt19937 random(role == "av" ? 1 : 2);
  int kills = 0;
  Ending ending{.killed = true, .code = 0};
  while (ending.killed && kills < 60) {
    // From before the first step to past a few checkpoints; longer with every kill, so that the run does end.
    const int limit = whole_ms / 12 + static_cast<int>(random() % static_cast<unsigned>(whole_ms / 4)) + 20 * kills;
    ending = RunProgram(arguments("killed", fs::exists(folder / "killed/recipe.yaml")), limit);
    kills += ending.killed ? 1 : 0;
  }
  ASSERT_EQ(ending.code, 0);
  EXPECT_GE(kills, 3) << "the run was hardly killed: the test shows nothing";
  EXPECT_EQ(ReadMetrics(folder / "killed/metrics.jsonl"), ReadMetrics(folder / "whole/metrics.jsonl"));
  EXPECT_EQ(ReadMetrics(folder / "whole/metrics.jsonl").size(), 120U + 13U);
  const std::string weights = "final/adapter_model.safetensors";
  EXPECT_EQ(ReadFile(folder / "killed" / weights), ReadFile(folder / "whole" / weights));
  fmt::print("{} kills\n", kills);
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
