// Inspection of recipes and of the directories that training works in.
#include "train/inspect_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/scratch_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

Inspection Look(const fs::path& path) { return Inspect(path, {}, TrainingKinds()); }

TEST(InspectRecipe, TheDemosIsSound) {
  const Inspection recipe = Look(NLA_SOURCE_DIR "/recipes/demo.yaml");
  EXPECT_EQ(recipe.kind, "recipe");
  EXPECT_THAT(recipe.problems, IsEmpty());
  EXPECT_THAT(recipe.facts, Contains(Pair("train_av.dataset", HasSubstr("av_sft.parquet"))));
}

TEST(InspectRecipe, WhatTrainingWouldRefuse) {
  ScratchDirectory scratch;
  const auto problems = [&](const char* text) {
    WriteFileAtomically(scratch / "r.yaml", text);
    return Look(scratch / "r.yaml").problems;
  };
  EXPECT_THAT(problems("train_av: {base_model: a, dataset: b, out: c, learning_rate: 1}\n"),
              ElementsAre(HasSubstr("learning_rate")));
  EXPECT_THAT(problems("train_av: {base_model: a, dataset: b, out: c, lr: -1}\n"), ElementsAre(HasSubstr("lr")));
  EXPECT_THAT(problems("other: {}\n"), ElementsAre(HasSubstr("has no section that training reads")));
  EXPECT_THAT(problems("a: [\n"), ElementsAre(HasSubstr("r.yaml: not YAML")));
  EXPECT_THAT(problems("- a\n"), ElementsAre(HasSubstr("not a recipe")));
}

class InspectRunTest : public testing::Test {
 protected:
  InspectRunTest() {
    fs::create_directories(scratch_ / "run/checkpoints");
    WriteFileAtomically(scratch_ / "run/recipe.yaml", "base_model: base\ndataset: rows.parquet\n");
    WriteFileAtomically(scratch_ / "run/metrics.jsonl",
                        "{\"kind\":\"step\",\"step\":1,\"loss\":2.5}\n{\"kind\":\"eval\",\"step\":1,\"gap\":0.5}\n"
                        "{\"kind\":\"step\",\"step\":2,\"loss\":2.25}\n{\"kind\":\"st");
  }
  void AddCheckpoint(int64_t step) const {
    const fs::path folder = scratch_ / ("run/checkpoints/step-" + std::to_string(step));
    fs::create_directories(folder);
    WriteFileAtomically(folder / "state.safetensors", "state " + std::to_string(step));
    WriteFileAtomically(folder / "state.json",
                        "{\"format\": 1, \"state_sha256\": \"" + Sha256HexOfFile(folder / "state.safetensors") + "\"}");
  }
  ScratchDirectory scratch_;
};

TEST_F(InspectRunTest, SaysHowFarItCame) {
  AddCheckpoint(2);
  AddCheckpoint(10);
  fs::create_directories(scratch_ / "run/checkpoints/.cut-off");
  const Inspection run = Look(scratch_ / "run");
  EXPECT_EQ(run.kind, "training run");
  EXPECT_THAT(run.problems, IsEmpty());
  EXPECT_THAT(run.facts, AllOf(Contains(Pair("dataset", "rows.parquet")), Contains(Pair("last step: step", "2")),
                               Contains(Pair("last step: loss", "2.25")), Contains(Pair("last evaluation: gap", "0.5")),
                               Contains(Pair("checkpoints", "2")), Contains(Pair("step-10", "sound")),
                               Contains(Pair("state", HasSubstr("--resume")))));
  EXPECT_TRUE(fs::exists(scratch_ / "run/checkpoints/.cut-off"));  // looking changes nothing
}

TEST_F(InspectRunTest, DamageIsAProblem) {
  AddCheckpoint(2);
  WriteFileAtomically(scratch_ / "run/checkpoints/step-2/state.safetensors", "state 3");
  WriteFileAtomically(scratch_ / "run/metrics.jsonl", "{\n{\"kind\":\"step\",\"step\":2}\n");
  EXPECT_THAT(Look(scratch_ / "run").problems, ElementsAre(HasSubstr("metrics.jsonl:1: is not a JSON object"),
                                                           HasSubstr("step-2/state.safetensors: damaged")));
}

}  // namespace
}  // namespace nla
