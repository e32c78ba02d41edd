// Whole reinforcement-learning runs in process on a tiny pair: they learn, repeat and resume without a trace, stop when
// a rule says so, write a pair that loads; and what they refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/error_testing.h"
#include "base/file.h"
#include "data/activation_table.h"
#include "nla/reconstructor.h"
#include "nla/verbalizer.h"
#include "train/grpo/run.h"
#include "train/inspect_run.h"
#include "train/rl_testing.h"

namespace nla {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

double MeanOf(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

class RlRun : public testing::Test {
 protected:
  std::vector<nlohmann::json> Metrics(const std::string& name) const {
    return ReadRlLines(rl_ / name / "metrics.jsonl");
  }
  std::string Weights(const std::string& name, const std::string& side) const {
    return ReadFile(rl_ / name / "final" / side / "adapter_model.safetensors");
  }

  TinyRl rl_;
};

TEST_F(RlRun, TenSeededStepsAreBitIdentical) {
  RlOptions options = rl_.Options("one");
  options.epochs = 2;
  const RlResult result = TrainRl(options, StartMode::kFresh);
  EXPECT_EQ(result.steps, 10);
  EXPECT_EQ(result.rows, 40);
  EXPECT_EQ(result.stopped_by, "steps");
  options.out = (rl_ / "two").string();
  TrainRl(options, StartMode::kFresh);
  EXPECT_EQ(Metrics("one"), Metrics("two"));
  EXPECT_EQ(ReadRlLines(rl_ / "one/rollouts.jsonl"), ReadRlLines(rl_ / "two/rollouts.jsonl"));
  EXPECT_EQ(Weights("one", "av"), Weights("two", "av"));
  EXPECT_EQ(Weights("one", "ar"), Weights("two", "ar"));
  options.out = (rl_ / "other").string();
  options.seed = 1;
  TrainRl(options, StartMode::kFresh);
  EXPECT_NE(Metrics("other"), Metrics("one"));
}

TEST_F(RlRun, ResumedRunEqualsAnUninterruptedOne) {
  RlOptions whole = rl_.Options("whole");
  TrainRl(whole, StartMode::kFresh);
  RlOptions parts = rl_.Options("parts");
  parts.steps = 4;
  TrainRl(parts, StartMode::kFresh);
  parts.steps = 10;
  TrainRl(parts, StartMode::kResume);
  EXPECT_EQ(Metrics("parts"), Metrics("whole"));
  EXPECT_EQ(ReadRlLines(rl_ / "parts/rollouts.jsonl"), ReadRlLines(rl_ / "whole/rollouts.jsonl"));
  EXPECT_EQ(Weights("parts", "av"), Weights("whole", "av"));
  EXPECT_EQ(Weights("parts", "ar"), Weights("whole", "ar"));
  const auto lines = Metrics("whole");
  EXPECT_EQ(lines.front().at("kind"), "preflight");
  EXPECT_EQ(FieldOf(lines, "step", "reward").size(), 10U);
  EXPECT_EQ(FieldOf(lines, "eval", "fve_raw_variance").size(), 6U);  // before the first step and every second one
  // Two groups of four replies in steps 5 and 10.
  EXPECT_EQ(ReadRlLines(rl_ / "whole/rollouts.jsonl").size(), 16U);
}

TEST_F(RlRun, UpdatesTheReconstructorOnPartsOfAStep) {
  RlOptions options = rl_.Options("whole");
  options.steps = 1;
  options.rollouts_every = 1;
  TrainRl(options, StartMode::kFresh);
  options.out = (rl_ / "parts").string();
  options.ar_updates = 2;
  TrainRl(options, StartMode::kFresh);
  // The same replies to the first two prompts. The first is in the first part; the second is read after an update.
  const auto whole = ReadRlLines(rl_ / "whole/rollouts.jsonl");
  const auto parts = ReadRlLines(rl_ / "parts/rollouts.jsonl");
  ASSERT_EQ(whole.size(), 8U);
  ASSERT_EQ(parts.size(), 8U);
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(parts[i].at("reply"), whole[i].at("reply"));
    EXPECT_FALSE(whole[i].at("failed").get<bool>());
    EXPECT_EQ(parts[i].at("reward") == whole[i].at("reward"), i < 4) << i;
  }
  EXPECT_NE(FieldOf(Metrics("parts"), "step", "ar_loss"), FieldOf(Metrics("whole"), "step", "ar_loss"));

  options.out = (rl_ / "refused").string();
  options.ar_updates = 3;
  EXPECT_THAT(Refusal([&] { TrainRl(options, StartMode::kFresh); }),
              HasSubstr("ar_updates: found 3, wanted a divisor"));
}

TEST_F(RlRun, LearnsAndWritesAPairThatLoads) {
  RlOptions options = rl_.Options("run");
  options.steps = 60;
  options.eval_every = options.save_every = 20;
  const RlResult result = TrainRl(options, StartMode::kFresh);
  const auto lines = Metrics("run");
  const std::vector<double> rewards = FieldOf(lines, "step", "reward");
  ASSERT_EQ(rewards.size(), 60U);
  EXPECT_GT(MeanOf(std::span(rewards).last(10)), MeanOf(std::span(rewards).first(10)) + 0.2);
  const std::vector<double> fve = FieldOf(lines, "eval", "fve_raw_variance");
  EXPECT_GT(fve.back(), fve.front() + 0.2);
  EXPECT_EQ(result.best_fve, *std::max_element(fve.begin(), fve.end()));
  // The words carry it: another row's do worse.
  EXPECT_GT(FieldOf(lines, "eval", "shuffled_gap").back(), 0.05);

  const PairLocation pair = FindPair(result.pair);
  EXPECT_EQ(pair.manifest.base_name, "tiny");
  const Verbalizer verbalizer = Verbalizer::Load(pair.Actor(at::kFloat));
  const Reconstructor reconstructor = Reconstructor::Load(pair.Critic(at::kFloat));
  EXPECT_EQ(verbalizer.sidecar().stage, "rl");
  EXPECT_EQ(reconstructor.sidecar().trained_on, std::vector<std::string>{"made_up__rl"});
  const std::vector<float> vectors = RandomVectors(4, 3);
  for (const Verbalization& one : verbalizer.Run(vectors, {})) EXPECT_TRUE(one.explanation) << one.raw;
  FindPair(rl_ / "run/best");
  const std::string page = ReadFile(rl_ / "run/curves.html");
  EXPECT_THAT(page, HasSubstr("<polyline"));
  EXPECT_THAT(page, HasSubstr("Ended after step 60 of 60 by steps."));
}

TEST_F(RlRun, InspectSaysHowFarItCame) {
  RlOptions options = rl_.Options("run");
  options.steps = 4;
  TrainRl(options, StartMode::kFresh);
  const Inspection run = Inspect(rl_ / "run", {}, TrainingKinds());
  EXPECT_THAT(run.problems, testing::IsEmpty());
  EXPECT_THAT(run.facts, testing::AllOf(testing::Contains(testing::Pair("last step: step", "4")),
                                        testing::Contains(testing::Pair("pair", options.pair)),
                                        testing::Contains(testing::Pair("best", HasSubstr("fve_raw_variance"))),
                                        testing::Contains(testing::Pair("state", HasSubstr("the pair is in final/")))));
  const Inspection pair = Inspect(rl_ / "run/final", {}, TrainingKinds());
  EXPECT_EQ(pair.kind, "pair");
  EXPECT_THAT(pair.problems, testing::IsEmpty());
}

TEST_F(RlRun, TheReferenceIsThePairThatItBeganWith) {
  RlOptions options = rl_.Options("run");
  options.av.lr = 1e-2;
  TrainRl(options, StartMode::kFresh);
  const std::vector<double> kl = FieldOf(Metrics("run"), "step", "kl");
  EXPECT_NEAR(kl.front(), 0, 1e-6);
  EXPECT_GT(kl.back(), 1e-5);
  // Started from its end, the distance is counted anew.
  RlOptions further = rl_.Options("further");
  further.pair = (rl_ / "run/final").string();
  further.steps = 1;
  TrainRl(further, StartMode::kFresh);
  EXPECT_NEAR(FieldOf(Metrics("further"), "step", "kl").front(), 0, 1e-6);
}

TEST_F(RlRun, FailedRepliesAreLeftOutOfTheReconstructorsBatch) {
  RlOptions options = rl_.Options("run");
  options.max_new_tokens = 2;  // the open tag and a letter
  options.steps = 3;
  TrainRl(options, StartMode::kFresh);
  const auto lines = Metrics("run");
  EXPECT_EQ(FieldOf(lines, "step", "reward"), (std::vector<double>{-2, -2, -2}));
  EXPECT_EQ(FieldOf(lines, "step", "extraction_rate"), (std::vector<double>{0, 0, 0}));
  EXPECT_TRUE(FieldOf(lines, "step", "ar_loss").empty());
  EXPECT_EQ(Weights("run", "ar"), ReadFile(rl_ / "known_ar/adapter_model.safetensors"));
  EXPECT_EQ(FieldOf(lines, "step", "policy_loss"), (std::vector<double>{0, 0, 0})) << "equal rewards teach nothing";
}

TEST_F(RlRun, TrainsInBf16) {
  RlOptions options = rl_.Options("run");
  options.dtype = "bf16";
  options.steps = 3;
  TrainRl(options, StartMode::kFresh);
  const auto lines = Metrics("run");
  EXPECT_LT(FieldOf(lines, "preflight", "logprob_distance").front(), 0.05);
  EXPECT_EQ(FieldOf(lines, "step", "extraction_rate"), (std::vector<double>{1, 1, 1}));
  EXPECT_GT(FieldOf(lines, "step", "av_grad_norm").front(), 0);
}

TEST_F(RlRun, WholeSidesAreTrainedInFull) {
  RlOptions options = rl_.Options("run");
  options.pair = (rl_ / "pair_whole").string();
  options.steps = 3;
  const RlResult result = TrainRl(options, StartMode::kFresh);
  EXPECT_TRUE(fs::exists(result.pair / "av/model.safetensors"));
  EXPECT_NE(ReadFile(result.pair / "av/model.safetensors"), ReadFile(rl_ / "av_known/model.safetensors"));
  const PairLocation pair = FindPair(result.pair);
  Verbalizer::Load(pair.Actor(at::kFloat));
  Reconstructor::Load(pair.Critic(at::kFloat));
  EXPECT_NEAR(FieldOf(Metrics("run"), "step", "kl").front(), 0, 1e-6);
}

TEST_F(RlRun, AStopRuleEndsItWithAReason) {
  RlOptions options = rl_.Options("run");
  options.av.lr = 1e-2;
  options.stop.kl = 1e-7;
  options.stop.window = 2;
  const RlResult result = TrainRl(options, StartMode::kFresh);
  EXPECT_THAT(result.stopped_by, StartsWith("kl: "));
  EXPECT_LT(result.steps, 10);
  EXPECT_TRUE(fs::exists(result.pair / "pair.yaml"));
  EXPECT_THAT(ReadFile(rl_ / "run/curves.html"), HasSubstr("by kl: "));
  // Resumed as it was, it stands where it stood; without the rule it goes on.
  EXPECT_EQ(TrainRl(options, StartMode::kResume).steps, result.steps);
  options.stop.kl = 0;
  EXPECT_EQ(TrainRl(options, StartMode::kResume).stopped_by, "steps");
}

TEST_F(RlRun, DiskIsBounded) {
  RlOptions options = rl_.Options("run");
  TrainRl(options, StartMode::kFresh);
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(rl_ / "run")) names.push_back(entry.path().filename());
  EXPECT_THAT(names, testing::UnorderedElementsAre("recipe.yaml", "metrics.jsonl", "tensorboard", "rollouts.jsonl",
                                                   "curves.html", "checkpoints", "best", "final"));
  names.clear();
  for (const fs::directory_entry& entry : fs::directory_iterator(rl_ / "run/checkpoints")) {
    names.push_back(entry.path().filename());
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("step-8", "step-10"));
}

TEST_F(RlRun, PreflightRefusesAVerbalizerThatDoesNotReadItsVector) {
  RlOptions options = rl_.Options("run");
  // As good as a model that ignores the marker's row: all vectors are the same.
  std::vector<ActivationRow> rows = ActivationReader::Open(options.dataset).Next(64);
  for (ActivationRow& row : rows) row.activation = rows[0].activation;
  ActivationWriter writer(rl_ / "same.parquet", RowSchema::kRl, kTinyWidth);
  writer.Append(rows);
  writer.Finish();
  fs::copy_file(SidecarPath(options.dataset), SidecarPath(rl_ / "same.parquet"));
  options.dataset = (rl_ / "same.parquet").string();
  EXPECT_THAT(Refusal([&] { TrainRl(options, StartMode::kFresh); }), HasSubstr("preflight: injection"));
}

TEST_F(RlRun, PreflightRefusesLabelsThatSayNothing) {
  RlOptions options = rl_.Options("run");
  rl_.WriteRows("labelled.parquet", "base", 16, "the same for all");
  options.heldout = (rl_ / "labelled.parquet").string();
  EXPECT_THAT(Refusal([&] { TrainRl(options, StartMode::kFresh); }), HasSubstr("preflight: labels"));
  options.preflight = false;
  options.steps = 1;
  EXPECT_EQ(TrainRl(options, StartMode::kReplace).steps, 1);
}

TEST_F(RlRun, RefusesToMixRuns) {
  RlOptions options = rl_.Options("run");
  options.steps = 2;
  TrainRl(options, StartMode::kResume);  // there is none: it begins
  EXPECT_THAT(Refusal([&] { TrainRl(options, StartMode::kFresh); }), HasSubstr("holds a finished run"));
  RlOptions other = options;
  other.av.lr = 1e-6;
  EXPECT_THAT(Refusal([&] { TrainRl(other, StartMode::kResume); }), HasSubstr("another value of av.lr"));
  other = options;
  other.pair = (rl_ / "run/final").string();
  EXPECT_THAT(Refusal([&] { TrainRl(other, StartMode::kResume); }), HasSubstr("began with another pair"));
}

TEST_F(RlRun, RefusesDataThatDoesNotFit) {
  const auto error_with = [&](const std::function<void(RlOptions&)>& change) {
    RlOptions options = rl_.Options("run");
    change(options);
    return Refusal([&] { TrainRl(options, StartMode::kFresh); });
  };
  EXPECT_THAT(error_with([](RlOptions& o) { o.samples = 1; }), HasSubstr("samples: found 1, wanted 2 or more"));
  EXPECT_THAT(error_with([](RlOptions& o) { o.objective.kl_kind = "k4"; }), HasSubstr("k1, k2 or k3"));
  EXPECT_THAT(error_with([](RlOptions& o) { o.reward.kind = "cosine"; }), HasSubstr("mse or log_mse"));
  EXPECT_THAT(error_with([&](RlOptions& o) { o.dataset = o.heldout; }), HasSubstr("wanted rl or av_sft"));
  DatasetSidecar sidecar = ReadDatasetSidecar(rl_ / "rl.parquet");
  sidecar.actor_template = "another {injection_char}?";
  WriteDatasetSidecar(rl_ / "rl.parquet", sidecar);
  EXPECT_THAT(error_with([](RlOptions&) {}), HasSubstr("prompt_templates.actor"));
  EXPECT_FALSE(fs::exists(rl_ / "run")) << "a refused run leaves nothing behind";
}

}  // namespace
}  // namespace nla
