// `nla pipeline`: the recipes that come with the program on a machine large enough and one too small, and a small one
// run, stopped by a bad stage, and gone on with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/tiny_road_testing.h"

namespace nla {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::filesystem::path kRecipes = std::filesystem::path(NLA_SOURCE_DIR) / "recipes";

TEST(PipelineTest, ReckonsTheRecipesThatComeWithTheProgram) {
  for (const std::string name : {"demo", "qwen2_5-7b", "gemma3-12b", "gemma3-27b", "llama3_3-70b"}) {
    SCOPED_TRACE(name);
    const std::string recipe = (kRecipes / (name + ".yaml")).string();
    // The demo's model need not be here.
    const std::string model = "pipeline.model=" + TinyRoad::Get() / "model";
    std::vector<std::string> words = {"pipeline", recipe, "--dry-run", "--memory", "9TB"};
    if (name == "demo") words.insert(words.end(), {"--set", model, "--set", "pipeline.layer=1"});
    const json plan = RunJson(words);
    EXPECT_GE(plan["stages"].size(), 15);
    for (const json& stage : plan["stages"]) EXPECT_TRUE(stage["fits"]) << stage;
    if (name == "demo") continue;
    words[4] = "1GB";
    EXPECT_EQ(RunNla(words).code, 1);
  }
}

class PipelineRun : public ::testing::Test {
 protected:
  PipelineRun() {
    const TinyRoad& road = TinyRoad::Get();
    std::ofstream(folder_ / "recipe.yaml")
        << "pipeline: {model: " << road / "model"
        << ", layer: 1, corpus: " << road / "corpus.jsonl"
        << ", data: " << (folder_ / "data").string() << ", seed: 3}\n"
        << R"(stages:
  - extract: >-
      extract --model {model} --corpus {corpus} --layer {layer} --min-position 1 --positions-per-doc 2 --seed {seed}
      --out {data}/base.parquet
  - split: split --input {data}/base.parquet --out-dir {data}/split --seed {seed}
  - train_ar
  - label: label --input {data}/missing.parquet --out {data}/explained.parquet
)"
        << "train_ar: {base_model: " << road / "model"
        << ", dataset: " << road / "ar_sft.parquet"
        << ", out: " << (folder_ / "run").string()
        << ", heldout_fraction: 0.2, lora: {rank: 4, alpha: 8}, batch_size: 8, steps: 3, dtype: fp32}\n";
    std::filesystem::create_directories(folder_ / "data");
  }
  std::string recipe() const { return (folder_ / "recipe.yaml").string(); }

  TestFolder folder_;
};

TEST_F(PipelineRun, RunsWhatIsAskedForAndKeepsWhatIsDone) {
  const json first = RunJson({"pipeline", recipe(), "--to", "extract"});
  ASSERT_EQ(first["stages"].size(), 1);
  EXPECT_GT(first["stages"][0]["result"]["rows"], 0);
  const auto written = std::filesystem::last_write_time(folder_ / "data/base.parquet");
  const json both = RunJson({"pipeline", recipe(), "--to", "split"});
  ASSERT_EQ(both["stages"].size(), 2);
  EXPECT_EQ(std::filesystem::last_write_time(folder_ / "data/base.parquet"), written);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "data/split/rl_raw.parquet"));
}

TEST_F(PipelineRun, GoesOnWithTrainings) {
  const std::vector<std::string> words = {"pipeline", recipe(), "--from", "train_ar", "--to", "train_ar"};
  EXPECT_EQ(RunJson(words)["stages"][0]["result"]["steps"], 3);
  EXPECT_EQ(RunJson(words)["stages"][0]["result"]["steps"], 3);
  std::vector<std::string> longer = words;
  longer.insert(longer.end(), {"--set", "train_ar.steps=5"});
  EXPECT_EQ(RunJson(longer)["stages"][0]["result"]["steps"], 5);
}

TEST_F(PipelineRun, NamesTheStageThatFails) {
  const RunResult run = RunNla({"pipeline", recipe()});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("missing.parquet"));
  EXPECT_THAT(run.err, HasSubstr("stage label: ended with exit code 1"));
  EXPECT_THAT(run.err, HasSubstr("--from label"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "data/split/rl_raw.parquet"));
}

TEST_F(PipelineRun, ChecksEveryStageBeforeTheFirst) {
  std::ofstream(folder_ / "wrong.yaml") << "pipeline: {model: " << TinyRoad::Get() / "model"
                                        << ", layer: 1}\n"
                                        << "stages: [{first: tokenize --model m}, {last: split --inputt base}]\n";
  const RunResult run = RunNla({"pipeline", (folder_ / "wrong.yaml").string()});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("stage last"));
  EXPECT_THAT(run.err, HasSubstr("Did you mean \"--input\"?"));
}

TEST_F(PipelineRun, RefusesAMachineThatIsTooSmall) {
  const RunResult run = RunNla({"pipeline", recipe(), "--memory", "1MB", "--to", "split"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("stage extract: needs more memory"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data/base.parquet"));
  EXPECT_EQ(RunNla({"pipeline", recipe(), "--memory", "1MB", "--to", "split", "--force"}).code, 0);
}

}  // namespace
}  // namespace nla
