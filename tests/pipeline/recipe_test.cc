// Recipes of whole pipelines: the stages that they give, what is filled in, and every refusal.
#include "pipeline/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "data/data_testing.h"
#include "nla/error.h"

namespace nla {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RecipeTest : public ::testing::Test {
 protected:
  std::filesystem::path Write(const std::string& text) const {
    std::ofstream(folder_ / "recipe.yaml") << text;
    return folder_ / "recipe.yaml";
  }
  std::string Refusal(const std::string& text, const std::vector<std::string>& assignments = {}) const {
    try {
      ReadPipelineRecipe(Write(text), assignments);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  }

  TestFolder folder_;
};

constexpr const char* kRecipe = R"(pipeline: {model: base, layer: 2, data: work/data, seed: 7}
train_av: {steps: 3}
stages:
  - extract: >-
      nla extract --model {model} --layer {layer}
      --out {data}/base.parquet
  - shuffle: shuffle --seed {seed}
  - train_av
)";

TEST_F(RecipeTest, GivesStagesInOrderWithTheirFieldsFilledIn) {
  const PipelineRecipe recipe = ReadPipelineRecipe(Write(kRecipe), {});
  ASSERT_EQ(recipe.stages.size(), 3);
  EXPECT_EQ(recipe.stages[0].name, "extract");
  EXPECT_THAT(recipe.stages[0].words,
              ElementsAre("extract", "--model", "base", "--layer", "2", "--out", "work/data/base.parquet"));
  EXPECT_THAT(recipe.stages[1].words, ElementsAre("shuffle", "--seed", "7"));
  EXPECT_EQ(recipe.stages[1].training, "");
  EXPECT_THAT(recipe.stages[2].words, ElementsAre("train", "av", recipe.file.string(), "--resume"));
  EXPECT_EQ(recipe.stages[2].training, "train_av");
  EXPECT_EQ(recipe.IndexOf("shuffle", "--from"), 1);
}

TEST_F(RecipeTest, HandsAssignmentsToTheirSections) {
  const PipelineRecipe recipe =
      ReadPipelineRecipe(Write(kRecipe), {"pipeline.layer=3", "train_av.steps=9", "train_ar.steps=1"});
  EXPECT_EQ(recipe.options.layer, 3);
  EXPECT_THAT(recipe.stages[2].words,
              ElementsAre("train", "av", recipe.file.string(), "--resume", "--set", "train_av.steps=9"));
  EXPECT_THAT(Refusal(kRecipe, {"trian_av.steps=9"}), HasSubstr("\"trian_av.steps=9\""));
  EXPECT_THAT(Refusal(kRecipe, {"pipeline.layers=9"}), HasSubstr("Did you mean \"pipeline.layer\"?"));
}

TEST_F(RecipeTest, NamesTheNearestStage) {
  const PipelineRecipe recipe = ReadPipelineRecipe(Write(kRecipe), {});
  try {
    recipe.IndexOf("extrakt", "--from");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("Did you mean \"extract\"?"));
  }
}

TEST_F(RecipeTest, RefusesWhatItCannotRun) {
  const std::string head = "pipeline: {layer: 2}\n";
  EXPECT_THAT(Refusal("train_av: {steps: 3}\n"), HasSubstr("pipeline"));
  EXPECT_THAT(Refusal(head), HasSubstr("stages: found nothing"));
  EXPECT_THAT(Refusal(head + "stages: []\n"), HasSubstr("a list of stages"));
  EXPECT_THAT(Refusal(head + "stages: {a: b}\n"), HasSubstr("a list of stages"));
  EXPECT_THAT(Refusal(head + "stages:\n  - train_xy\n"), HasSubstr("recipe.yaml:3"));
  EXPECT_THAT(Refusal(head + "stages:\n  - {a: b, c: d}\n"), HasSubstr("NAME: COMMAND"));
  EXPECT_THAT(Refusal(head + "stages:\n  - a: [b]\n"), HasSubstr("NAME: COMMAND"));
  EXPECT_THAT(Refusal(head + "stages:\n  - a: ''\n"), HasSubstr("without a command"));
  EXPECT_THAT(Refusal(head + "stages:\n  - a: b\n  - a: c\n"), HasSubstr("there is a stage \"a\" before"));
  EXPECT_THAT(Refusal(head + "stages:\n  - a: split --seed {sed}\n"), HasSubstr("Did you mean \"{seed}\"?"));
  EXPECT_THAT(Refusal(head + "stages:\n  - a: split --seed {seed\n"), HasSubstr("is not a field"));
}

}  // namespace
}  // namespace nla
