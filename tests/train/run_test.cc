// Whole supervised runs in process on the tiny checkpoint: they learn, resume without a trace, stop when told, write a
// checkpoint that loads; and what they refuse.
#include "train/sft/run.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <set>

#include "base/file.h"
#include "data/activation_table.h"
#include "nla/role_checkpoint.h"
#include "train/prepare_ar.h"
#include "train/train_testing.h"

namespace nla {
namespace {

class SftRun : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TestFolder;
    WriteTinyModel(*shared_ / "model");
    for (const std::string stage : {"av_sft", "ar_sft"}) {
      WriteTinyDataset(*shared_ / (stage + ".parquet"), stage, 96, *shared_ / "model");
    }
  }
  static void TearDownTestSuite() { delete shared_; }

  static TrainOptions Common(const std::string& stage, const fs::path& out) {
    TrainOptions options;
    options.base_model = (*shared_ / "model").string();
    options.dataset = (*shared_ / (stage + ".parquet")).string();
    options.heldout_fraction = 0.25;
    options.out = out.string();
    options.lora_rank = 4;
    options.lora_alpha = 8;
    options.optimizer.lr = 3e-3;
    options.batch_size = 8;
    options.micro_rows = 256;
    options.steps = 6;
    options.dtype = "fp32";
    options.store_dtype = "fp32";
    options.eval_rows = 12;
    options.eval_every = 4;
    options.save_every = 2;
    return options;
  }
  AvSftOptions Av(const std::string& name) const {
    AvSftOptions options;
    options.train = Common("av_sft", folder_ / name);
    return options;
  }
  ArSftOptions Ar(const std::string& name) const {
    ArSftOptions options;
    options.train = Common("ar_sft", folder_ / name);
    return options;
  }
  std::vector<nlohmann::json> Metrics(const std::string& name) const {
    return ReadMetrics(folder_ / name / "metrics.jsonl");
  }
  static std::vector<double> Losses(const std::vector<nlohmann::json>& lines) {
    std::vector<double> losses;
    for (const auto& line : lines) {
      if (line.at("kind") == "step") losses.push_back(line.at("loss").get<double>());
    }
    return losses;
  }

  static TestFolder* shared_;  // the model and the datasets, never written to by a test
  TestFolder folder_;
};
TestFolder* SftRun::shared_ = nullptr;

TEST_F(SftRun, VerbalizerLearnsAndTheVectorMatters) {
  AvSftOptions options = Av("run");
  options.train.steps = 60;
  options.train.eval_every = options.train.save_every = 30;
  options.train.optimizer.lr = 1e-2;
  const LoopResult result = TrainAv(options, StartMode::kFresh);
  EXPECT_EQ(result.steps, 60);
  EXPECT_EQ(result.rows, 480);
  EXPECT_EQ(result.stopped_by, "steps");
  const auto lines = Metrics("run");
  EXPECT_EQ(lines.front().at("kind"), "eval");
  EXPECT_EQ(lines.front().at("step"), 0);
  const std::vector<double> losses = Losses(lines);
  ASSERT_EQ(losses.size(), 60U);
  EXPECT_LT(losses.back(), 0.5 * losses.front());
  EXPECT_GT(result.evaluation.at("gap").get<double>(), 0.02);
}

TEST_F(SftRun, ReconstructorLearns) {
  ArSftOptions options = Ar("run");
  options.train.steps = 60;
  options.train.eval_every = options.train.save_every = 30;
  const LoopResult result = TrainAr(options, StartMode::kFresh);
  EXPECT_GT(result.evaluation.at("fve_raw_variance").get<double>(), 0.3);
  EXPECT_EQ(result.evaluation.at("n"), 12);
}

TEST_F(SftRun, ResumedRunEqualsAnUninterruptedOne) {
  // Its length is changed on the way, which only a constant schedule does not see.
  AvSftOptions options = Av("parts");
  options.train.steps = 3;
  options.train.optimizer.schedule.shape = "constant";
  AvSftOptions whole = Av("whole");
  whole.train.optimizer.schedule.shape = "constant";
  TrainAv(whole, StartMode::kFresh);
  TrainAv(options, StartMode::kFresh);
  options.train.steps = 6;
  TrainAv(options, StartMode::kResume);
  EXPECT_EQ(Losses(Metrics("parts")), Losses(Metrics("whole")));
  EXPECT_EQ(ReadFile(folder_ / "parts/final/adapter_model.safetensors"),
            ReadFile(folder_ / "whole/final/adapter_model.safetensors"));
}

TEST_F(SftRun, HeldOutDocumentsAreNeverTrainedOn) {
  const HeldOutRule rule{.fraction = 0.25, .seed = 0};
  BatchSource source(*shared_ / "av_sft.parquet", rule);
  std::set<std::string> trained;
  const int64_t in_epoch = source.rows_per_epoch();
  for (const ActivationRow& row : source.Next(2 * in_epoch)) trained.insert(row.doc_id);
  EXPECT_EQ(source.cursor().epoch, 1);
  const auto heldout = HeldOutRows(*shared_ / "av_sft.parquet", "", rule, 1000);
  EXPECT_EQ(static_cast<int64_t>(heldout.size()) + in_epoch, 96);
  EXPECT_GT(heldout.size(), 4U);
  for (const ActivationRow& row : heldout) EXPECT_FALSE(trained.contains(row.doc_id));
}

TEST_F(SftRun, BatchesContinueAtTheCursor) {
  BatchSource whole(*shared_ / "ar_sft.parquet", {});
  const auto rows = whole.Next(250);
  BatchSource first(*shared_ / "ar_sft.parquet", {});
  first.Next(101);
  BatchSource second(*shared_ / "ar_sft.parquet", {});
  second.Seek(first.cursor());
  const auto rest = second.Next(149);
  for (size_t i = 0; i < rest.size(); ++i) EXPECT_EQ(rest[i].prompt_text, rows[101 + i].prompt_text) << i;
  EXPECT_EQ(second.cursor(), whole.cursor());
  EXPECT_EQ(whole.cursor(), (DataCursor{.row = 250 - 2 * 96, .epoch = 2}));
}

TEST_F(SftRun, WritesACheckpointThatOthersRead) {
  TrainAv(Av("av"), StartMode::kFresh);
  const fs::path final = folder_ / "av/final";
  const ModelSidecar sidecar = ReadModelSidecar(final);
  EXPECT_EQ(sidecar.role, Role::kActor);
  EXPECT_EQ(sidecar.stage, "av_sft");
  EXPECT_EQ(sidecar.layer, kTinyLayer);
  EXPECT_EQ(sidecar.trained_on, std::vector<std::string>{"made_up__av_sft"});
  EXPECT_EQ(sidecar.base_weights_hash, Checkpoint::Open(*shared_ / "model").WeightsHash());
  EXPECT_EQ(sidecar.weights_hash, TrainedWeightsHash(final));
  EXPECT_NEAR(sidecar.injection_scale.number, ScaleFromNorms(*shared_ / "av_sft.parquet"), 1e-9);
  EXPECT_GT(sidecar.injection_scale.number, 15);
  for (const char* name :
       {"adapter_config.json", "config.json", "tokenizer.json", "tokenizer_config.json", "recipe.yaml"}) {
    EXPECT_TRUE(fs::exists(final / name)) << name;
  }
  // A further run begins with what this one ended with: its first evaluation is this one's last.
  AvSftOptions further = Av("further");
  further.train.init = final.string();
  TrainAv(further, StartMode::kFresh);
  const auto before = Metrics("av").back();
  const auto after = Metrics("further").front();
  EXPECT_NEAR(after.at("cross_entropy").get<double>(), before.at("cross_entropy").get<double>(), 1e-5);
}

TEST_F(SftRun, ReconstructorStartsFromAPreparedDirectory) {
  PrepareAr({.model = *shared_ / "model",
             .layer = kTinyLayer,
             .out = folder_ / "init",
             .critic_template = {},
             .base_model = {}});
  const ModelSidecar prepared = ReadModelSidecar(folder_ / "init");
  EXPECT_EQ(prepared.stage, "critic_init");
  EXPECT_EQ(nlohmann::json::parse(ReadFile(folder_ / "init/config.json")).at("num_hidden_layers"), kTinyLayer + 1);
  ArSftOptions direct = Ar("direct");
  direct.train.lora_rank = 0;
  TrainAr(direct, StartMode::kFresh);
  ArSftOptions by_way = direct;
  by_way.train.out = (folder_ / "by_way").string();
  by_way.train.init = (folder_ / "init").string();
  TrainAr(by_way, StartMode::kFresh);
  EXPECT_EQ(Losses(Metrics("direct")), Losses(Metrics("by_way")));
  EXPECT_TRUE(fs::exists(folder_ / "direct/final/model.safetensors"));
  EXPECT_TRUE(fs::exists(folder_ / "direct/final/value_head.safetensors"));
  // The whole trained directory is a place to start from too.
  ArSftOptions further = direct;
  further.train.out = (folder_ / "further").string();
  further.train.init = (folder_ / "direct/final").string();
  TrainAr(further, StartMode::kFresh);
  EXPECT_NEAR(Metrics("further").front().at("mse").get<double>(), Metrics("direct").back().at("mse").get<double>(),
              1e-5);
}

TEST_F(SftRun, PrepareRefusesALayerBeyondTheModel) {
  const std::string error = ErrorOf([&] {
    PrepareAr(
        {.model = *shared_ / "model", .layer = 3, .out = folder_ / "init", .critic_template = {}, .base_model = {}});
  });
  EXPECT_NE(error.find("found 3, wanted 0 to 2"), std::string::npos) << error;
  EXPECT_FALSE(fs::exists(folder_ / "init"));
}

TEST_F(SftRun, StopsAtTheTimeLimitWithAFinalSave) {
  AvSftOptions options = Av("run");
  options.train.steps = 100000;
  options.train.train_seconds_limit = 0.2;
  const LoopResult result = TrainAv(options, StartMode::kFresh);
  EXPECT_EQ(result.stopped_by, "time");
  EXPECT_GT(result.steps, 0);
  EXPECT_LT(result.steps, 100000);
  EXPECT_TRUE(fs::exists(result.model / "nla_meta.yaml"));
}

TEST_F(SftRun, RefusesToMixRuns) {
  AvSftOptions options = Av("run");
  options.train.steps = 2;
  TrainAv(options, StartMode::kResume);  // there is none: it begins
  EXPECT_NE(ErrorOf([&] { TrainAv(options, StartMode::kFresh); }).find("holds a finished run"), std::string::npos);
  AvSftOptions other = options;
  other.train.optimizer.lr = 1e-5;
  const std::string error = ErrorOf([&] { TrainAv(other, StartMode::kResume); });
  EXPECT_NE(error.find("another value of lr"), std::string::npos) << error;
  // A --replace whose inputs are not there loses nothing.
  other.train.base_model = "nowhere";
  EXPECT_NE(ErrorOf([&] { TrainAv(other, StartMode::kReplace); }), "");
  EXPECT_TRUE(fs::exists(folder_ / "run/final"));
  other.train.base_model = options.train.base_model;
  TrainAv(other, StartMode::kReplace);
  EXPECT_EQ(Losses(Metrics("run")).size(), 2U);
}

TEST_F(SftRun, RefusesDataThatDoesNotFit) {
  const auto error_with = [&](const std::function<void(AvSftOptions&)>& change) {
    AvSftOptions options = Av("run");
    change(options);
    return ErrorOf([&] { TrainAv(options, StartMode::kFresh); });
  };
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(error_with([&](AvSftOptions& o) { o.train.dataset = (*shared_ / "ar_sft.parquet").string(); }), "wanted av_sft");
  has(error_with([](AvSftOptions& o) { o.train.layer = 2; }), "layer");
  has(error_with([](AvSftOptions& o) { o.injection_scale = "-3"; }), "injection_scale");
  has(error_with([](AvSftOptions& o) { o.injection_rule = "mix"; }), "replace or add");
  has(error_with([](AvSftOptions& o) { o.train.batch_size = 0; }), "batch_size");
  has(error_with([](AvSftOptions& o) { o.train.dataset = "nowhere.parquet"; }), "nowhere.parquet");
  has(error_with([](AvSftOptions& o) { o.train.heldout_fraction = 0.999; }), "no rows to train on");
  for (const auto& [fact, part] : {std::pair("base_weights_hash", "model: the model is not the one that the dataset"),
                                   std::pair("tokenizer_hash", "model/tokenizer.json: the tokenizer is not the one")}) {
    const fs::path copy = folder_ / "of_another.parquet";
    WriteTinyDataset(copy, "av_sft", 8, *shared_ / "model");
    DatasetSidecar sidecar = ReadDatasetSidecar(copy);
    sidecar.extra.emplace_back(fact, std::string(64, '0'));
    WriteDatasetSidecar(copy, sidecar);
    has(error_with([&](AvSftOptions& o) { o.train.dataset = copy.string(); }), part);
  }
  EXPECT_FALSE(fs::exists(folder_ / "run")) << "a refused run leaves nothing behind";
}

TEST_F(SftRun, NamesARowThatCannotBeTrainedOn) {
  DatasetSidecar sidecar = ReadDatasetSidecar(*shared_ / "av_sft.parquet");
  const auto error_with = [&](const std::function<void(ActivationRow&)>& spoil) {
    std::vector<ActivationRow> rows = TinyRows("av_sft", 96, sidecar);
    spoil(rows[5]);
    ActivationWriter writer(folder_ / "bad.parquet", RowSchema::kAvSft, kTinyWidth, false);
    writer.Append(rows);
    writer.Finish();
    WriteDatasetSidecar(folder_ / "bad.parquet", sidecar);
    AvSftOptions options = Av("run");
    options.train.dataset = (folder_ / "bad.parquet").string();
    options.train.heldout_fraction = 0;
    return ErrorOf([&] { TrainAv(options, StartMode::kReplace); });
  };
  const std::string zero = error_with([](ActivationRow& row) { row.activation.assign(kTinyWidth, 0); });
  EXPECT_NE(zero.find("bad.parquet: row 5: the vector is all zero"), std::string::npos) << zero;
  const std::string layer = error_with([](ActivationRow& row) { row.activation_layer = 2; });
  EXPECT_NE(layer.find("layer of the activation: found 2, wanted 1"), std::string::npos) << layer;
  const std::string empty = error_with([](ActivationRow& row) { row.response.clear(); });
  EXPECT_NE(empty.find("the response is empty"), std::string::npos) << empty;
  const std::string marker = error_with([](ActivationRow& row) { row.prompt_messages[0].content = "no marker"; });
  EXPECT_NE(marker, "");
}

TEST(Recipe, UnknownKeyNamesTheNearest) {
  TestFolder folder;
  std::ofstream(folder / "recipe.yaml")
      << "extract: {layer: 3}\ntrain_av:\n  lr: 0.5\n  lora: {rank: 8}\n  injection_scale: 12\n";
  AvSftOptions options;
  LoadRecipe(Fields(options), (folder / "recipe.yaml").string(), "train_av", {"train_av.steps=7"});
  EXPECT_EQ(options.train.optimizer.lr, 0.5);
  EXPECT_EQ(options.train.lora_rank, 8);
  EXPECT_EQ(options.train.steps, 7);
  EXPECT_EQ(options.injection_scale, "12");
  const std::string error = ErrorOf(
      [&] { LoadRecipe(Fields(options), (folder / "recipe.yaml").string(), "train_av", {"train_av.lora.rnak=7"}); });
  EXPECT_NE(error.find("Did you mean \"train_av.lora.rank\"?"), std::string::npos) << error;
  std::ofstream(folder / "recipe.yaml") << "train_av: {warmup_step: 3}\n";
  const std::string in_file =
      ErrorOf([&] { LoadRecipe(Fields(options), (folder / "recipe.yaml").string(), "train_av", {}); });
  EXPECT_NE(in_file.find("Did you mean \"warmup_steps\"?"), std::string::npos) << in_file;
}

TEST(Recipe, TheDumpReadsBackToTheSameFields) {
  TestFolder folder;
  ArSftOptions options;
  options.train.lora_alpha = 0.1;
  options.train.out = "a: b # c";
  WriteFileAtomically(folder / "recipe.yaml", DumpYaml(Fields(options)));
  ArSftOptions read;
  LoadYaml(Fields(read), folder / "recipe.yaml");
  EXPECT_TRUE(DifferingFields(Fields(options), Fields(read)).empty());
  read.train.lora_rank = 99;
  EXPECT_EQ(DifferingFields(Fields(options), Fields(read)), std::vector<std::string>{"lora.rank"});
}

}  // namespace
}  // namespace nla
