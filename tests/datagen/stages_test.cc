// split, build, shuffle and shuffle-activations: equal to the goldens row for row and field for field; what they
// refuse.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "data/activation_table.h"
#include "data/dataset_sidecar.h"
#include "datagen/build.h"
#include "datagen/datagen_golden_testing.h"
#include "datagen/shuffle.h"
#include "datagen/split.h"
#include "datagen/stage_io.h"
#include "text/chat.h"

namespace nla {
namespace {

// A dataset of made-up rows with its sidecar.
void WriteDataset(const fs::path& path, RowSchema schema, const std::vector<ActivationRow>& rows) {
  const auto d_model = static_cast<int64_t>(rows.at(0).activation.size());
  ActivationWriter writer(path, schema, d_model);
  writer.Append(rows);
  writer.Finish();
  DatasetSidecar sidecar;
  sidecar.dataset_id = "base_m_L20_12345678";
  sidecar.row_count = static_cast<int64_t>(rows.size());
  sidecar.base_model = "m";
  sidecar.d_model = d_model;
  sidecar.layer_index = 20;
  sidecar.corpus = "made-up";
  WriteDatasetSidecar(path, sidecar);
}

std::vector<ActivationRow> ReadRows(const fs::path& path) { return ActivationReader::Open(path).Next(1 << 20); }

TEST(SplitStage, EqualsTheGolden) {
  TestFolder folder;
  SplitOptions options{.input = DatagenGolden("base.parquet"), .output_dir = folder / "out", .seed = 42};
  const SplitResult result = Split(options);
  EXPECT_FALSE(result.up_to_date);
  for (const SplitBucket& bucket : result.buckets) {
    const std::string file = bucket.name + "_raw.parquet";
    EXPECT_EQ(bucket.path, folder.path() / "out" / file);
    ExpectSameDataset(bucket.path, DatagenGolden("split/" + file));
    EXPECT_EQ(bucket.rows, ReadDatasetSidecar(bucket.path).row_count);
  }
  const SplitResult again = Split(options);
  EXPECT_TRUE(again.up_to_date);
  EXPECT_EQ(again.documents, result.documents);
  for (size_t b = 0; b < 3; ++b) {
    EXPECT_EQ(again.buckets[b].rows, result.buckets[b].rows);
    EXPECT_EQ(again.buckets[b].documents, result.buckets[b].documents);
  }
}

TEST(SplitStage, NoDocumentOnTwoSidesAndNoRowLost) {
  TestFolder folder;
  WriteDataset(folder / "base.parquet", RowSchema::kBase, MakeRows(5001, 2));
  const SplitResult result = Split({.input = folder / "base.parquet",
                                    .output_dir = folder.path(),
                                    .av_fraction = 0.25,
                                    .ar_fraction = 0,
                                    .rl_fraction = 0.75,
                                    .seed = 1});
  std::map<std::string, std::string> owner;
  size_t rows = 0;
  for (const SplitBucket& bucket : result.buckets) {
    for (const ActivationRow& row : ReadRows(bucket.path)) {
      EXPECT_EQ(owner.emplace(row.doc_id, bucket.name).first->second, bucket.name);
      ++rows;
    }
  }
  EXPECT_EQ(rows, 5001U);
  EXPECT_EQ(result.documents, 2501);
  EXPECT_EQ(result.buckets[0].documents, 625);
  EXPECT_EQ(result.buckets[1].documents, 0);
  EXPECT_EQ(ReadDatasetSidecar(result.buckets[1].path).row_count, 0);
}

TEST(SplitStage, RefusesWhatIsWrong) {
  TestFolder folder;
  WriteDataset(folder / "base.parquet", RowSchema::kBase, MakeRows(20, 2));
  SplitOptions options{.input = folder / "base.parquet", .output_dir = folder / "out"};
  options.rl_fraction = 0.5;
  EXPECT_NLA_ERROR(Split(options), "do not add up to 1: found 1.1");
  options.rl_fraction = 1.4;
  options.av_fraction = -0.7;
  EXPECT_NLA_ERROR(Split(options), "a fraction is negative: found -0.7");
  options = {.input = folder / "base.parquet", .output_dir = folder / "out"};
  Split(options);
  options.seed = 5;
  EXPECT_NLA_ERROR(Split(options), "another file is there");
  options.replace = true;
  EXPECT_FALSE(Split(options).up_to_date);
  EXPECT_NLA_ERROR(Split({.input = DatagenGolden("built/rl.parquet"), .output_dir = folder / "x"}),
                   "only base rows are split");
}

class BuildStages : public testing::TestWithParam<const char*> {};

TEST_P(BuildStages, EqualTheGolden) {
  TestFolder folder;
  const std::string stage = GetParam();
  const auto facts = DatagenGoldenFacts();
  const BuildOptions options{
      .input = DatagenGolden(stage == "rl" ? "split/rl_raw.parquet" : "explained/" + stage + "_explained.parquet"),
      .output = folder / "out.parquet",
      .stage = stage,
      .model_dir = DatagenGolden("model"),
      .actor_template = facts.at("actor_template"),
      .critic_template = facts.at("critic_template")};
  const BuildResult result = Build(options);
  ExpectSameDataset(folder / "out.parquet", DatagenGolden("built/" + stage + ".parquet"));
  EXPECT_EQ(result.rows_in, result.rows_out + result.dropped_without_explanation);
  EXPECT_EQ(result.dropped_without_explanation, stage == "rl" ? 0 : 3);
  EXPECT_TRUE(Build(options).up_to_date);
}

INSTANTIATE_TEST_SUITE_P(All, BuildStages, testing::Values("av_sft", "ar_sft", "rl"));

TEST(BuildStage, KeepsTheDayThatTheTemplateSays) {
  TestFolder folder;
  BuildOptions options{.input = DatagenGolden("explained/av_sft_explained.parquet"),
                       .output = folder / "out.parquet",
                       .stage = "av_sft",
                       .model_dir = DatagenGolden("model"),
                       .chat_date = "2025-01-31"};
  EXPECT_NLA_ERROR(Build(options), "chat date");
  fs::copy(DatagenGolden("model"), folder / "model");
  auto config = nlohmann::json::parse(ReadFile(folder / "model/tokenizer_config.json"));
  config["chat_template"] = "{{ strftime_now('%d %b %Y') }} " + config["chat_template"].get<std::string>();
  WriteFileAtomically(folder / "model/tokenizer_config.json", config.dump());
  options.model_dir = folder / "model";
  Build(options);
  EXPECT_EQ(FindExtra(ReadDatasetSidecar(options.output), kChatDateFact), "2025-01-31");
  options.replace = true;
  options.chat_date = "";
  EXPECT_FALSE(Build(options).up_to_date);
  EXPECT_EQ(FindExtra(ReadDatasetSidecar(options.output), kChatDateFact), kDefaultChatDate);
}

TEST(BuildStage, OptionsChangeTheResult) {
  TestFolder folder;
  BuildOptions options{.input = DatagenGolden("explained/av_sft_explained.parquet"),
                       .output = folder / "out.parquet",
                       .stage = "av_sft",
                       .model_dir = DatagenGolden("model"),
                       .keep_text = false};
  const BuildResult chosen = Build(options);
  EXPECT_FALSE(ActivationReader::Open(options.output).has_text());
  EXPECT_FALSE(ReadDatasetSidecar(options.output).keep_debug_metadata);
  // Naming the marker that is chosen anyway gives the same facts, suffix included.
  options.injection_char = chosen.tokens.injection_char;
  options.output = folder / "named.parquet";
  EXPECT_EQ(Build(options).tokens, chosen.tokens);
  options.injection_char = "two tokens";
  options.replace = true;
  EXPECT_NLA_ERROR(Build(options), "is not one token of this tokenizer");
}

TEST(BuildStage, RefusesWhatIsWrong) {
  TestFolder folder;
  BuildOptions options{.input = DatagenGolden("base.parquet"),
                       .output = folder / "out.parquet",
                       .stage = "av_sft",
                       .model_dir = DatagenGolden("model")};
  EXPECT_NLA_ERROR(Build(options), "no api_explanation");
  options.stage = "sft";
  EXPECT_NLA_ERROR(Build(options), "unknown stage: found sft");
  options.stage = "av_sft";
  options.input = DatagenGolden("built/av_sft.parquet");
  EXPECT_NLA_ERROR(Build(options), "built already");
  options.input = DatagenGolden("explained/av_sft_explained.parquet");
  options.actor_template = "no marker here";
  EXPECT_NLA_ERROR(Build(options), "prompt_templates.actor");
  options.actor_template.clear();
  options.model_dir = folder / "nowhere";
  EXPECT_THROW(Build(options), Error);
  EXPECT_FALSE(fs::exists(options.output));

  auto rows = MakeRows(4, 3);
  for (auto& row : rows) row.explanation = " \n";
  WriteDataset(folder / "blank.parquet", RowSchema::kExplained, rows);
  options.model_dir = DatagenGolden("model");
  options.input = folder / "blank.parquet";
  EXPECT_NLA_ERROR(Build(options), "no row has an explanation");
  rows = MakeRows(4, 3);
  rows[2].activation_layer = 19;
  WriteDataset(folder / "layer.parquet", RowSchema::kExplained, rows);
  options.input = folder / "layer.parquet";
  EXPECT_NLA_ERROR(Build(options), "row 2: activation_layer is not the sidecar's layer_index: found 19, wanted 20");
  EXPECT_FALSE(fs::exists(options.output));
}

TEST(ShuffleStages, EqualTheGolden) {
  TestFolder folder;
  const fs::path input = DatagenGolden("built/av_sft.parquet");
  const ShuffleResult rows = Shuffle({.input = input, .output = folder / "rows.parquet", .seed = 7});
  ExpectSameDataset(folder / "rows.parquet", DatagenGolden("shuffled/av_sft.parquet"));
  const ShuffleResult vectors = ShuffleActivations({.input = input, .output = folder / "vectors.parquet", .seed = 7});
  ExpectSameDataset(folder / "vectors.parquet", DatagenGolden("shuffled/av_sft_activations.parquet"));
  EXPECT_EQ(rows.rows, vectors.rows);
  EXPECT_TRUE(Shuffle({.input = input, .output = folder / "rows.parquet", .seed = 7}).up_to_date);
}

TEST(ShuffleStages, RefuseToLoseAFile) {
  TestFolder folder;
  WriteDataset(folder / "a.parquet", RowSchema::kBase, MakeRows(50, 2));
  ShuffleOptions options{.input = folder / "a.parquet", .output = folder / "b.parquet", .seed = 1};
  Shuffle(options);
  options.seed = 2;
  EXPECT_NLA_ERROR(Shuffle(options), "another file is there");
  options.output = folder / "a.parquet";
  EXPECT_NLA_ERROR(Shuffle(options), "the output is the input");
  WriteFileForTest(folder / "stranger.parquet", "not ours");
  options.output = folder / "stranger.parquet";
  EXPECT_NLA_ERROR(Shuffle(options), "another file is there");
  EXPECT_EQ(ReadFile(folder / "stranger.parquet"), "not ours");
  options.replace = true;
  EXPECT_EQ(Shuffle(options).rows, 50);
}

TEST(StageInput, SidecarMustBelongToTheFile) {
  TestFolder folder;
  const fs::path path = folder / "a.parquet";
  WriteDataset(path, RowSchema::kBase, MakeRows(10, 2));
  DatasetSidecar sidecar = ReadDatasetSidecar(path);
  sidecar.row_count = 9;
  WriteDatasetSidecar(path, sidecar);
  EXPECT_NLA_ERROR(OpenStageInput(path), "row_count: the sidecar does not belong to its file: found 9, wanted 10");
  sidecar.row_count = 10;
  sidecar.d_model = 3;
  WriteDatasetSidecar(path, sidecar);
  EXPECT_NLA_ERROR(OpenStageInput(path), "extraction.d_model");
  fs::remove(SidecarPath(path));
  EXPECT_NLA_ERROR(OpenStageInput(path), "sidecar does not exist");
}

}  // namespace
}  // namespace nla
