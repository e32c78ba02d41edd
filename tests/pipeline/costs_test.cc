// The reckoning of stages against counts made by hand, for the published recipes and one small model.
#include "pipeline/costs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/data_testing.h"
#include "nla/error.h"

namespace nla {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kRecipes = std::filesystem::path(NLA_SOURCE_DIR) / "recipes";
const Machine kMachine{.memory_bytes = 24e9, .flops = 1e11, .compute = at::kFloat};

// 2 blocks of width 8: q and o 64, k and v 32, gate, up and down 128 weights each.
constexpr double kBlockWeights = 64 + 64 + 32 + 32 + 3 * 128;
constexpr int64_t kVocabulary = 100;

class CostsTest : public ::testing::Test {
 protected:
  CostsTest() {
    const nlohmann::json config = {
        {"model_type", "llama"},       {"hidden_size", 8},         {"intermediate_size", 16},
        {"num_hidden_layers", 2},      {"num_attention_heads", 2}, {"num_key_value_heads", 1},
        {"vocab_size", kVocabulary},   {"rms_norm_eps", 1e-5},     {"max_position_embeddings", 64},
        {"tie_word_embeddings", true}, {"rope_theta", 10000.0},    {"hidden_act", "silu"}};
    std::ofstream(folder_ / "config.json") << config;
  }
  PipelineRecipe Read(const std::string& trainings, const std::vector<std::string>& assignments = {}) const {
    std::ofstream(folder_ / "recipe.yaml")
        << "pipeline: {model: elsewhere, config: config.json, layer: 0, documents: 10, tokens_per_document: 20, "
           "explanation_tokens: 30}\nstages: [{extract: extract --x}, {part: extract --corpus-length 3}, {pair: pair}, "
           "train_av, train_ar, train_rl]\n"
        << trainings;
    return ReadPipelineRecipe(folder_ / "recipe.yaml", assignments);
  }
  StageCost Cost(const std::string& stage, const std::vector<std::string>& assignments = {}) const {
    const PipelineRecipe recipe = Read(
        "train_av: {base_model: m, dataset: d, out: o, steps: 5, batch_size: 4, lora: {rank: 2}, dtype: fp32}\n"
        "train_ar: {base_model: m, dataset: d, out: o, steps: 5, batch_size: 4, lora: {rank: 0}, dtype: fp32}\n"
        "train_rl: {pair: p, dataset: d, out: o, steps: 3, prompts: 2, samples: 4, max_new_tokens: 20, dtype: fp32}\n",
        assignments);
    return CostOf(recipe.stages[recipe.IndexOf(stage, "")], recipe, SpecOf(recipe), kMachine, assignments);
  }

  TestFolder folder_;
};

TEST_F(CostsTest, CountsTheMultiplicationsOfExtraction) {
  // Up to block 0, without a head: two operations a weight and token, at 0.6 of the machine's speed.
  EXPECT_NEAR(Cost("extract").seconds.value(), 10 * 20 * kBlockWeights * 2 / 0.6e11, 1e-12);
  EXPECT_NEAR(Cost("part").seconds.value(), 3 * 20 * kBlockWeights * 2 / 0.6e11, 1e-12);
}

TEST_F(CostsTest, CountsThoseOfTrainings) {
  const double whole = 2 * kBlockWeights + 8 * kVocabulary;
  EXPECT_NEAR(Cost("train_av").seconds.value(), 5 * 4 * (30 + 45) * whole * 4 / 0.6e11, 1e-12);
  EXPECT_NEAR(Cost("train_ar").seconds.value(), 5 * 4 * (30 + 10) * kBlockWeights * 6 / 0.6e11, 1e-12);
  // A reply is written, learned from and compared with the reference; the reconstructor reads and learns it.
  const double replies = 3 * 2 * 4;
  EXPECT_NEAR(Cost("train_rl").seconds.value(), replies * (whole * (2 + 4 + 2) * 20 + kBlockWeights * 4 * 30) / 0.6e11,
              1e-12);
  EXPECT_NEAR(Cost("train_rl", {"train_rl.kl.coef=0", "train_rl.stop.kl=0"}).seconds.value(),
              replies * (whole * (2 + 4) * 20 + kBlockWeights * 4 * 30) / 0.6e11, 1e-12);
}

TEST_F(CostsTest, FullTrainingHoldsStatesOfEveryWeight) {
  const double weights = kBlockWeights + 8 * kVocabulary + 2 * 8;  // norms too; of block 0 and the embedding
  const double adapters = Cost("train_ar", {"train_ar.lora.rank=1"}).memory_bytes.value();
  const double full = Cost("train_ar").memory_bytes.value();
  const double of_adapters = 16 * (2 * 16 + 2 * 12 + 3 * 24);  // a number: weight, gradient, two moments in fp32
  EXPECT_NEAR(full - adapters, 12 * weights - of_adapters, 1);
}

TEST_F(CostsTest, LeavesOutWhatNoModelDoes) {
  const StageCost cost = Cost("pair");
  EXPECT_FALSE(cost.memory_bytes || cost.seconds);
}

TEST_F(CostsTest, ChecksTheTrainingsFields) {
  try {
    Cost("train_av", {"train_av.lora.rank=-1"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("lora.rank"));
  }
}

TEST_F(CostsTest, NamesWhereItLookedForAConfig) {
  std::filesystem::remove(folder_ / "config.json");
  try {
    SpecOf(Read(""));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("elsewhere"));
  }
}

// 7.6 billion parameters: bf16 weights alone are 15 GB; full fine-tuning keeps 18 bytes of each.
TEST(PublishedRecipes, AreReckonedByTheModelsSizes) {
  const std::vector<std::tuple<std::string, double>> cases = {
      {"qwen2_5-7b", 7.6e9}, {"gemma3-12b", 11.8e9}, {"gemma3-27b", 27e9}, {"llama3_3-70b", 70.6e9}};
  for (const auto& [name, parameters] : cases) {
    SCOPED_TRACE(name);
    const PipelineRecipe recipe = ReadPipelineRecipe(kRecipes / (name + ".yaml"), {});
    const ModelSpec spec = SpecOf(recipe);
    EXPECT_LT(recipe.options.layer, spec.n_blocks);
    const std::vector<std::string> in_bf16 = {"train_av.dtype=bf16"};
    const StageCost cost = CostOf(recipe.stages[recipe.IndexOf("train_av", "")], recipe, spec, kMachine, in_bf16);
    EXPECT_GT(cost.memory_bytes.value(), 17.5 * parameters);
    EXPECT_LT(cost.memory_bytes.value(), 21 * parameters);
    for (const Stage& stage : recipe.stages) {
      const bool training = !stage.training.empty();
      EXPECT_TRUE(!training || CostOf(stage, recipe, spec, kMachine, {}).seconds.value_or(0) > 0) << stage.name;
    }
  }
}

// The configs beside the recipes are the published ones.
TEST(PublishedRecipes, HaveThePublishedConfigs) {
  const std::filesystem::path published = std::filesystem::path(NLA_SOURCE_DIR) / "tests/model/golden/published";
  for (const auto& entry : std::filesystem::directory_iterator(kRecipes / "configs")) {
    std::ifstream ours(entry.path());
    std::ifstream theirs(published / entry.path().filename());
    EXPECT_EQ(nlohmann::json::parse(ours), nlohmann::json::parse(theirs)) << entry.path();
  }
}

}  // namespace
}  // namespace nla
