// Exported sides: the same model as the adapters, in the files that other programs read.
#include "nla/export.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_testing.h"
#include "base/file.h"
#include "model/tensor_io.h"
#include "nla/reconstructor.h"
#include "nla/tiny_pair_testing.h"
#include "nla/verbalizer.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::vector<std::string> Names(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename().string());
  return names;
}

double LargestDifference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

at::Tensor LogitsOf(const Decoder& decoder) {
  const std::vector<TokenId> ids = {4, 200, 31, 7, 90, 91};
  return decoder.Logits(decoder.FinalNorm(decoder.Forward(decoder.Embed(ids), {0, {6}})));
}
at::Tensor LogitsOf(const RoleSource& source) { return LogitsOf(LoadRole(source, Role::kActor).decoder); }

class ExportTest : public testing::Test {
 protected:
  ExportFacts Export(const std::string& side, const ExportOptions& options = {}) {
    return ExportRole(tiny_.Source(side), tiny_ / "out", options);
  }
  RoleSource Out() const { return {tiny_ / "out", {}, at::kFloat}; }
  TinyPair tiny_;
};

TEST_F(ExportTest, AMergedVerbalizerGivesTheAdaptersLogits) {
  const ExportFacts facts = Export("av");
  EXPECT_TRUE(facts.merged);
  EXPECT_EQ(facts.blocks, 3);
  EXPECT_EQ(facts.files, 1);
  EXPECT_THAT(Names(tiny_ / "out"), UnorderedElementsAre("config.json", "model.safetensors", "nla_meta.yaml",
                                                         "tokenizer.json", "tokenizer_config.json"));
  const at::Tensor wanted = LogitsOf(tiny_.Source("av"));
  // fp32 rounding of W + BA against Wx + B(Ax), logits of order 10.
  EXPECT_LT(LargestDifference(LogitsOf(Out()), wanted), 1e-3);
  EXPECT_GT(LargestDifference(LogitsOf(Decoder::Load(Checkpoint::Open(tiny_ / "base"), {})), wanted), 0.1);
}

TEST_F(ExportTest, AMergedReconstructorGivesTheAdaptersVectors) {
  const ExportFacts facts = Export("ar");
  EXPECT_EQ(facts.blocks, kTinyLayer + 1);
  const Checkpoint checkpoint = Checkpoint::Open(tiny_ / "out");
  EXPECT_EQ(checkpoint.config()["num_hidden_layers"], kTinyLayer + 1);
  for (const std::string& name : checkpoint.names()) {
    EXPECT_THAT(name, testing::Not(HasSubstr("layers.2."))) << "beyond K";
    EXPECT_THAT(name, testing::Not(HasSubstr("lm_head")));
  }
  // What a reader of whole models wants to find; nothing here reads it.
  const TensorView* norm = checkpoint.Find("model.norm.weight");
  ASSERT_NE(norm, nullptr);
  EXPECT_TRUE(at::equal(ToTensor(*norm, {kTinyWidth}, at::kFloat, ""), at::ones(kTinyWidth)));
  const std::vector<std::string> texts = {"one", "two words", ""};
  const std::vector<float> wanted = Reconstructor::Load(tiny_.Source("ar")).Run(texts);
  const std::vector<float> found = Reconstructor::Load(Out()).Run(texts);
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-4);
}

TEST_F(ExportTest, TheSidecarTellsTheSameInTheReferencesNames) {
  Export("ar");
  const ModelSidecar before = ReadModelSidecar(tiny_ / "ar");
  const ModelSidecar after = ReadModelSidecar(tiny_ / "out");
  EXPECT_EQ(after.schema_version, 2);
  EXPECT_EQ(after.role, Role::kCritic);
  EXPECT_EQ(after.layer, before.layer);
  EXPECT_EQ(after.tokens, before.tokens);
  EXPECT_EQ(after.base_weights_hash, before.base_weights_hash);
  EXPECT_EQ(after.weights_hash, TrainedWeightsHash(tiny_ / "out"));
  EXPECT_EQ(after.parent_checkpoints, std::vector<std::string>{"tiny"});
  EXPECT_THAT(
      ReadFile(tiny_ / "out" / "nla_meta.yaml"),
      AllOf(HasSubstr("role: critic"), HasSubstr("critic:\n  extraction_layer_index: 1"), HasSubstr("actor: ")));
}

// The reference's critic wants every prompt to begin with a token that the tokenizer names for it.
TEST_F(ExportTest, AReconstructorForgetsABeginningThatItDoesNotWrite) {
  EditJson(tiny_ / "base" / "tokenizer_config.json",
           [](nlohmann::json& config) { config["bos_token"] = "<|im_start|>"; });
  Export("ar");
  EXPECT_TRUE(nlohmann::json::parse(ReadFile(tiny_ / "out" / "tokenizer_config.json")).at("bos_token").is_null());
  ExportRole(tiny_.Source("av"), tiny_ / "out_av", {});
  EXPECT_EQ(nlohmann::json::parse(ReadFile(tiny_ / "out_av" / "tokenizer_config.json")).at("bos_token"),
            "<|im_start|>");
}

TEST_F(ExportTest, FoldersOfThisMachineStayHere) {
  EditSidecar(tiny_ / "av_whole", [](ModelSidecar& s) {
    s.training = {{"dataset", "/home/me/data/av.parquet"}, {"out", "runs/av"}};
    s.parent_checkpoints = {"/home/me/runs/first"};
  });
  Export("av_whole");
  const ModelSidecar after = ReadModelSidecar(tiny_ / "out");
  EXPECT_EQ(after.training[0].second, "av.parquet");
  EXPECT_EQ(after.training[1].second, "runs/av");
  EXPECT_EQ(after.parent_checkpoints, std::vector<std::string>{"first"});
}

TEST_F(ExportTest, ShardsHoldTheSameTensors) {
  Export("av");
  const std::string whole = Checkpoint::Open(tiny_ / "out").WeightsHash();
  fs::remove_all(tiny_ / "out");
  const ExportFacts facts = Export("av", {.shard_bytes = 60'000});
  EXPECT_GT(facts.files, 2);
  const nlohmann::json index = nlohmann::json::parse(ReadFile(tiny_ / "out" / "model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], facts.weight_bytes);
  EXPECT_EQ(index["weight_map"].size(), static_cast<size_t>(facts.tensors));
  const std::string last = "model-0000" + std::to_string(facts.files) + "-of-0000" + std::to_string(facts.files);
  EXPECT_TRUE(fs::exists(tiny_ / "out" / (last + ".safetensors")));
  EXPECT_FALSE(fs::exists(tiny_ / "out" / "model.safetensors"));
  EXPECT_EQ(Checkpoint::Open(tiny_ / "out").WeightsHash(), whole);
}

// The merged fp32 value rounded once: not base and product rounded apart.
TEST_F(ExportTest, RoundsOnce) {
  Export("av", {.store = DType::kBF16});
  const Checkpoint rounded = Checkpoint::Open(tiny_ / "out");
  EXPECT_EQ(rounded.config()["torch_dtype"], "bfloat16");
  Decoder exact = Decoder::Load(Checkpoint::Open(tiny_ / "base"), {});
  exact.LoadAdapters(tiny_ / "av");
  exact.MergeAdapters();
  for (const NamedTensor& weight : exact.Weights()) {
    const TensorView* view = rounded.Find(weight.name);
    ASSERT_NE(view, nullptr) << weight.name;
    EXPECT_EQ(view->dtype, DType::kBF16);
    const at::Tensor found = ToTensor(*view, weight.tensor.sizes().vec(), at::kFloat, "");
    // Half a unit in the last place of bf16, at most 2^-8 of the value, and what fp32 sums differ by.
    EXPECT_LT(((found - weight.tensor).abs() - weight.tensor.abs() * 0x1p-8).max().item<double>(), 1e-6) << weight.name;
  }
}

TEST_F(ExportTest, WholeSidesAreWrittenAsTheyAre) {
  const ExportFacts facts = Export("av_whole");
  EXPECT_FALSE(facts.merged);
  EXPECT_EQ(Checkpoint::Open(tiny_ / "out").WeightsHash(), Checkpoint::Open(tiny_ / "av_whole").WeightsHash());
}

TEST_F(ExportTest, MegatronsBallastIsIgnoredOnLoading) {
  Export("ar", {.megatron = true});
  const Checkpoint out = Checkpoint::Open(tiny_ / "out");
  const TensorView* head = out.Find("lm_head.weight");
  ASSERT_NE(head, nullptr);
  EXPECT_TRUE(at::equal(ToTensor(*head, {kTinyWidth, kTinyWidth}, at::kFloat, ""), at::eye(kTinyWidth)));
  EXPECT_EQ(Refusal([&] { Reconstructor::Load(Out()); }), "accepted");
}

TEST_F(ExportTest, RefusesWhatLoadingWouldRefuseAndLeavesNothing) {
  EXPECT_THAT(Refusal([&] { ExportRole({tiny_ / "av", {}, at::kFloat}, tiny_ / "out", {}); }), HasSubstr("--base DIR"));
  EditSidecar(tiny_ / "av", [](ModelSidecar& s) { s.base_weights_hash = std::string(64, '1'); });
  EXPECT_THAT(Refusal([&] { Export("av"); }), HasSubstr("is not the base model"));
  fs::remove(tiny_ / "ar_whole" / "value_head.safetensors");
  EXPECT_THAT(Refusal([&] { Export("ar_whole"); }), HasSubstr("value_head"));
  for (const std::string& name : Names(tiny_.path())) EXPECT_THAT(name, testing::Not(HasSubstr("out")));
  Export("av_whole");
  EXPECT_THAT(Refusal([&] { Export("av_whole"); }), HasSubstr("already exists"));
}

TEST_F(ExportTest, AValueThatTheTypeCannotHoldIsAnError) {
  Decoder decoder = Decoder::Load(Checkpoint::Open(tiny_ / "av_whole"), {});
  decoder.Weights()[3].tensor.mutable_data_ptr<float>()[7] = 1e6F;  // beyond half precision
  WriteTensors(tiny_ / "av_whole" / "model.safetensors", decoder.Weights(), at::kFloat);
  EXPECT_THAT(Refusal([&] { Export("av_whole", {.store = DType::kF16}); }),
              AllOf(HasSubstr("av_whole: tensor model.layers.0."), HasSubstr("F16 cannot hold")));
}

TEST_F(ExportTest, APairKeepsItsBaseAndWorks) {
  tiny_.WriteHeldOut(20, false);
  const PairLocation pair = tiny_.Assemble("pair", "av", "ar");
  ExportPair(pair, tiny_ / "deep" / "out", {});
  const PairLocation merged = FindPair(tiny_ / "deep" / "out");
  EXPECT_EQ(merged.manifest.base_path, "../../base");
  EXPECT_EQ(merged.manifest.baselines->mean_norm, pair.manifest.baselines->mean_norm);
  const std::vector<float> vectors = RandomVectors(4, 9);
  const auto replies = [&](const PairLocation& which) {
    std::vector<std::vector<TokenId>> ids;
    VerbalizeOptions options;
    options.sampling.max_new_tokens = 12;
    for (const Verbalization& one : Verbalizer::Load(which.Actor(at::kFloat)).Run(vectors, options)) {
      ids.push_back(one.ids);
    }
    return ids;
  };
  EXPECT_EQ(replies(merged), replies(pair));
}

}  // namespace
}  // namespace nla
