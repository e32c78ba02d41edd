// Checkpoints: the round trip, damage, leftovers of a killed save; and metrics.jsonl, cut to the step it continues
// from.
#include "train/checkpoint.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "train/metrics_log.h"
#include "train/train_testing.h"

namespace nla {
namespace {

std::vector<NamedTensor> MakeTensors(float value) {
  return {{"master.a", at::zeros({3, 5}).fill_(value)}, {"momentum.a", at::zeros({7}).fill_(-value)}};
}

RunState MakeState(int64_t step) {
  // Doubles and integers that a careless text form would lose.
  return {.counters = {.step = step, .updates = step - 1, .skipped = 1},
          .cursor = {.row = 123456789012345, .epoch = 3},
          .rows = (int64_t{1} << 53) + 1,
          .tokens = 99,
          .seconds = 0.1 + 0.2};
}

TEST(Checkpoint, RoundTrip) {
  TestFolder folder;
  SaveCheckpoint(folder.path(), MakeState(4), MakeTensors(0.1F), "lr: 1\n");
  const auto found = NewestCheckpoint(folder.path());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->filename(), "step-4");
  EXPECT_EQ(ReadFile(*found / "recipe.yaml"), "lr: 1\n");
  const auto tensors = MakeTensors(0);
  const RunState state = LoadCheckpoint(*found, tensors);
  const RunState wanted = MakeState(4);
  EXPECT_EQ(state.counters.step, wanted.counters.step);
  EXPECT_EQ(state.counters.updates, wanted.counters.updates);
  EXPECT_EQ(state.counters.skipped, wanted.counters.skipped);
  EXPECT_EQ(state.cursor, wanted.cursor);
  EXPECT_EQ(state.rows, wanted.rows);
  EXPECT_EQ(state.tokens, wanted.tokens);
  EXPECT_EQ(state.seconds, wanted.seconds);
  EXPECT_EQ(tensors[0].tensor[2][4].item<float>(), 0.1F);
  EXPECT_EQ(tensors[1].tensor[6].item<float>(), -0.1F);
}

TEST(Checkpoint, KeepsTheNewestTwoInNumericOrder) {
  TestFolder folder;
  for (const int64_t step : {8, 9, 10, 100}) SaveCheckpoint(folder.path(), MakeState(step), MakeTensors(1), "");
  EXPECT_EQ(NewestCheckpoint(folder.path())->filename(), "step-100");
  EXPECT_TRUE(fs::exists(folder / "checkpoints/step-10"));
  EXPECT_FALSE(fs::exists(folder / "checkpoints/step-9"));
  EXPECT_FALSE(fs::exists(folder / "checkpoints/step-8"));
}

TEST(Checkpoint, NoneInAFreshDirectory) {
  TestFolder folder;
  EXPECT_FALSE(NewestCheckpoint(folder.path()));
}

class DamagedCheckpoint : public testing::Test {
 protected:
  DamagedCheckpoint() {
    SaveCheckpoint(folder_.path(), MakeState(1), MakeTensors(1), "");
    SaveCheckpoint(folder_.path(), MakeState(2), MakeTensors(2), "");
  }
  std::string Newest() { return NewestCheckpoint(folder_.path()).value_or("none").filename().string(); }

  TestFolder folder_;
  fs::path two_ = folder_ / "checkpoints/step-2";
};

TEST_F(DamagedCheckpoint, FlippedBitIsPassedOver) {
  std::string bytes = ReadFile(two_ / "state.safetensors");
  bytes[bytes.size() - 3] ^= 4;
  WriteFileAtomically(two_ / "state.safetensors", bytes);
  EXPECT_EQ(Newest(), "step-1");
}

TEST_F(DamagedCheckpoint, CutFileIsPassedOver) {
  fs::resize_file(two_ / "state.safetensors", 20);
  EXPECT_EQ(Newest(), "step-1");
}

TEST_F(DamagedCheckpoint, BrokenJsonIsPassedOver) {
  WriteFileAtomically(two_ / "state.json", "{\"format\": 1, \"step\": ");
  EXPECT_EQ(Newest(), "step-1");
  WriteFileAtomically(two_ / "state.json", "{\"format\": 2}");
  EXPECT_EQ(Newest(), "step-1");
}

TEST_F(DamagedCheckpoint, MissingFileIsPassedOver) {
  fs::remove(two_ / "state.json");
  EXPECT_EQ(Newest(), "step-1");
}

TEST_F(DamagedCheckpoint, LeftoversOfAKilledSaveAreRemoved) {
  fs::create_directories(folder_ / "checkpoints/.step-3.tmp");
  fs::create_directories(folder_ / "checkpoints/step-3x");
  EXPECT_EQ(Newest(), "step-2");
  EXPECT_FALSE(fs::exists(folder_ / "checkpoints/.step-3.tmp"));
  EXPECT_FALSE(fs::exists(folder_ / "checkpoints/step-3x"));
}

TEST_F(DamagedCheckpoint, OfAnotherModelIsRefusedAndChangesNothing) {
  std::vector<NamedTensor> tensors = MakeTensors(5);
  tensors[1].tensor = at::zeros({8});
  const std::string error = ErrorOf([&] { LoadCheckpoint(two_, tensors); });
  EXPECT_NE(error.find("momentum.a"), std::string::npos) << error;
  EXPECT_NE(error.find("F32 [7], wanted F32 [8]"), std::string::npos) << error;
  EXPECT_EQ(tensors[0].tensor[0][0].item<float>(), 5);
  tensors = MakeTensors(5);
  tensors[0].name = "master.b";
  EXPECT_NE(ErrorOf([&] { LoadCheckpoint(two_, tensors); }).find("master.b"), std::string::npos);
  tensors.pop_back();
  EXPECT_NE(ErrorOf([&] { LoadCheckpoint(two_, tensors); }).find("another model"), std::string::npos);
}

TEST(MetricsLog, CutsWhatComesAfterTheCheckpoint) {
  TestFolder folder;
  const fs::path path = folder / "metrics.jsonl";
  {
    MetricsLog log(path, -1);
    for (int step = 1; step <= 5; ++step) log.Append({{"kind", "step"}, {"step", step}, {"loss", 0.1 * step}});
    log.Append({{"kind", "eval"}, {"step", 5}});
    log.Sync();
    EXPECT_EQ(log.last_eval_step(), 5);
  }
  std::ofstream(path, std::ios::app) << "{\"kind\":\"step\",\"ste";  // killed while writing
  MetricsLog log(path, 3);
  EXPECT_EQ(log.last_eval_step(), -1);
  log.Append({{"kind", "step"}, {"step", 4}});
  std::vector<int64_t> steps;
  for (const auto& line : ReadMetrics(path)) steps.push_back(line.at("step").get<int64_t>());
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3, 4}));
}

TEST(MetricsLog, AFreshRunEmptiesTheFile) {
  TestFolder folder;
  const fs::path path = folder / "metrics.jsonl";
  { MetricsLog(path, -1).Append({{"kind", "eval"}, {"step", 0}}); }
  MetricsLog log(path, -1);
  EXPECT_TRUE(ReadMetrics(path).empty());
}

}  // namespace
}  // namespace nla
