// Ten steps of verbalizer and reconstructor training, with adapters and in full, against the PyTorch oracle
// (tools/oracles/sft_oracle.py): every loss, every gradient norm, every gradient of the first step. fp32.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/eye.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "base/file.h"
#include "model/tensor_io.h"
#include "train/ar_trainer.h"
#include "train/sft/av_trainer.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

const fs::path kGolden = fs::path(NLA_SOURCE_DIR) / "tests/train/golden";
const fs::path kModel = fs::path(NLA_SOURCE_DIR) / "tests/model/golden/tiny_llama";
constexpr int64_t kWidth = 64;

// Losses: fp32 sums in another order; the oracle's own distance to fp64 is below 2e-6. Gradients: relative to the
// tensor's largest entry.
constexpr double kLossTolerance = 1e-4;
constexpr double kGradientTolerance = 1e-3;

template <typename T>
std::vector<T> Values(const SafetensorsFile& file, const std::string& name) {
  const TensorView* view = file.Find(name);
  EXPECT_NE(view, nullptr) << name;
  std::vector<T> values(static_cast<size_t>(view->numel()));
  EXPECT_EQ(view->bytes.size(), values.size() * sizeof(T)) << name;
  std::memcpy(values.data(), view->bytes.data(), view->bytes.size());
  return values;
}

struct Fixture {
  SafetensorsFile inputs = SafetensorsFile::Open(kGolden / "sft_fixture.safetensors");
  nlohmann::json settings = nlohmann::json::parse(ReadFile(kGolden / "sft_fixture.json"));

  // Consecutive runs of a flat array.
  std::vector<std::vector<TokenId>> Rows(const std::string& ids_name, const std::string& lengths_name) const {
    const auto ids = Values<int32_t>(inputs, ids_name);
    std::vector<std::vector<TokenId>> rows;
    auto begin = ids.begin();
    for (const int32_t length : Values<int32_t>(inputs, lengths_name)) {
      rows.emplace_back(begin, begin + length);
      begin += length;
    }
    EXPECT_EQ(begin, ids.end());
    return rows;
  }

  std::vector<std::vector<float>> Vectors(const std::string& name) const {
    const auto flat = Values<float>(inputs, name);
    std::vector<std::vector<float>> rows;
    for (auto at = flat.begin(); at != flat.end(); at += kWidth) rows.emplace_back(at, at + kWidth);
    return rows;
  }

  std::vector<AvExample> AvExamples() const {
    const auto prompt = Values<int32_t>(inputs, "av.prompt_ids");
    const auto responses = Rows("av.response_ids", "av.response_lengths");
    const auto vectors = Vectors("av.vectors");
    std::vector<AvExample> examples;
    for (size_t i = 0; i < responses.size(); ++i) {
      examples.push_back({prompt, settings["site"].get<int64_t>(), responses[i], vectors[i]});
    }
    return examples;
  }

  std::vector<ArExample> ArExamples() const {
    const auto prompts = Rows("ar.prompt_ids", "ar.prompt_lengths");
    const auto targets = Vectors("ar.targets");
    std::vector<ArExample> examples;
    for (size_t i = 0; i < prompts.size(); ++i) examples.push_back({prompts[i], targets[i]});
    return examples;
  }

  OptimizerOptions OptimizerSettings() const {
    OptimizerOptions options;
    options.lr = settings["learning_rate"];
    options.schedule.shape = "constant";
    options.weight_decay = settings["weight_decay"];
    options.beta1 = settings["adam_beta1"];
    options.beta2 = settings["adam_beta2"];
    options.eps = settings["adam_epsilon"];
    options.clip = settings["clip_norm"];
    return options;
  }

  // The decoder of a role, with the oracle's adapters when `method` is "lora".
  Decoder MakeDecoder(const std::string& role, const std::string& method) const {
    DecoderOptions options;
    if (role == "ar") options = {at::kFloat, settings["ar_layer"].get<int64_t>() + 1, false};
    Decoder decoder = Decoder::Load(Checkpoint::Open(kModel), options);
    if (method == "lora") {
      decoder.AddAdapters({settings["lora_rank"], settings["lora_alpha"]}, 1);
      for (const NamedTensor& named : decoder.AdapterWeights()) {
        const TensorView* view = inputs.Find(OracleName(named.name));
        if (view != nullptr) named.tensor.copy_(ToTensor(*view, view->shape, at::kFloat, "fixture"));
      }
    }
    return decoder;
  }

  static std::string OracleName(const std::string& name) {
    const std::string peft = "base_model.model.";
    return name.starts_with(peft) ? name.substr(peft.size()) : name;
  }
};

void ExpectGradients(const std::vector<Trainable>& trainables, const SafetensorsFile& golden,
                     const std::string& prefix) {
  size_t checked = 0;
  for (const Trainable& trainable : trainables) {
    const std::string name = prefix + Fixture::OracleName(trainable.name);
    const TensorView* view = golden.Find(name);
    ASSERT_NE(view, nullptr) << name;
    const at::Tensor wanted = ToTensor(*view, trainable.grad.sizes().vec(), at::kFloat, name);
    const double scale = std::max(1e-6, wanted.abs().max().item<double>());
    EXPECT_LT((trainable.grad - wanted).abs().max().item<double>() / scale, kGradientTolerance) << name;
    ++checked;
  }
  const auto in_golden = std::count_if(golden.tensors().begin(), golden.tensors().end(),
                                       [&](const TensorView& view) { return view.name.starts_with(prefix); });
  EXPECT_EQ(checked, static_cast<size_t>(in_golden)) << "the oracle trains other tensors";
}

template <typename Trainer, typename Example>
void RunAgainstOracle(Trainer& trainer, const std::vector<Example>& examples, const Fixture& fixture,
                      const std::string& golden_name) {
  const SafetensorsFile golden = SafetensorsFile::Open(kGolden / golden_name);
  const auto losses = Values<float>(golden, "losses");
  const auto norms = Values<float>(golden, "grad_norms");
  const size_t batch = fixture.settings["batch"].template get<size_t>();
  const size_t batches = fixture.settings["batches"].template get<size_t>();
  for (size_t step = 0; step < losses.size(); ++step) {
    const std::span<const Example> rows = std::span(examples).subspan(step % batches * batch, batch);
    const BatchLoss loss = trainer.Accumulate(rows);
    EXPECT_NEAR(loss.loss, losses[step], kLossTolerance * losses[step]) << "step " << step;
    if (step == 0) ExpectGradients(trainer.optimizer().trainables(), golden, "grad.");
    if (step + 1 == losses.size() && golden_name.find("lora") != std::string::npos) {
      ExpectGradients(trainer.optimizer().trainables(), golden, "last_grad.");
    }
    const StepOutcome outcome = trainer.optimizer().Step();
    EXPECT_NEAR(outcome.grad_norm, norms[step], kGradientTolerance * norms[step]) << "step " << step;
    EXPECT_FALSE(outcome.skipped);
  }
}

// Method, and the most packed rows of a micro-batch: 4096 takes a batch whole, 20 one or two rows at a time.
class SftOracle : public testing::TestWithParam<std::tuple<std::string, int64_t>> {};

TEST_P(SftOracle, Verbalizer) {
  const auto& [method, micro_rows] = GetParam();
  const Fixture fixture;
  Decoder decoder = fixture.MakeDecoder("av", method);
  const AvTrainerOptions options{
      .injection = {.rule = InjectionRule::kReplace,
                    .scale = {Scale::Kind::kNumber, fixture.settings["injection_scale"].get<double>()}},
      .micro_rows = micro_rows};
  AvTrainer trainer(decoder, options, fixture.OptimizerSettings(), 10);
  RunAgainstOracle(trainer, fixture.AvExamples(), fixture, "sft_av_" + method + ".safetensors");
}

TEST_P(SftOracle, Reconstructor) {
  const auto& [method, micro_rows] = GetParam();
  const Fixture fixture;
  Decoder decoder = fixture.MakeDecoder("ar", method);
  ArTrainer trainer({decoder, at::eye(kWidth, at::kFloat)}, {.mse_scale = {}, .micro_rows = micro_rows},
                    fixture.OptimizerSettings(), 10);
  RunAgainstOracle(trainer, fixture.ArExamples(), fixture, "sft_ar_" + method + ".safetensors");
}

INSTANTIATE_TEST_SUITE_P(Methods, SftOracle,
                         testing::Combine(testing::Values("lora", "full"), testing::Values(4096, 20)),
                         [](const auto& chosen) {
                           return std::get<0>(chosen.param) + "_" + std::to_string(std::get<1>(chosen.param));
                         });

// The oracle's prompts differ from their first token on. These share a beginning, which is then computed once.
TEST(SharedPrefixTraining, GivesTheGradientsOfSeparateSequences) {
  const Fixture fixture;
  std::vector<ArExample> examples = fixture.ArExamples();
  for (ArExample& example : examples) example.prompt.insert(example.prompt.begin(), {11, 12, 13, 14, 15});
  const auto gradients = [&](int64_t micro_rows) {
    Decoder decoder = fixture.MakeDecoder("ar", "full");
    ArTrainer trainer({decoder, at::eye(kWidth, at::kFloat)}, {.mse_scale = {}, .micro_rows = micro_rows},
                      fixture.OptimizerSettings(), 10);
    const double loss = trainer.Accumulate(examples).loss;
    return std::pair(loss, trainer.optimizer().trainables());
  };
  const auto [together, grads_together] = gradients(4096);
  const auto [alone, grads_alone] = gradients(1);  // one row each: no two sequences meet
  EXPECT_NEAR(together, alone, 1e-6);
  for (size_t i = 0; i < grads_alone.size(); ++i) {
    const at::Tensor& wanted = grads_alone[i].grad;
    const double scale = wanted.abs().max().item<double>();
    EXPECT_GT(scale, 0) << grads_alone[i].name;
    EXPECT_LT((grads_together[i].grad - wanted).abs().max().item<double>(), 1e-4 * scale) << grads_alone[i].name;
  }
}

TEST(AvTrainer, EvaluationEqualsTheTrainingLossAndLeavesNoGradient) {
  const Fixture fixture;
  Decoder decoder = fixture.MakeDecoder("av", "lora");
  AvTrainer trainer(decoder, {.injection = {InjectionRule::kReplace, {Scale::Kind::kNumber, 4.0}}, .micro_rows = 64},
                    fixture.OptimizerSettings(), 10);
  const auto examples = fixture.AvExamples();
  const double evaluated = trainer.Evaluate(examples);
  EXPECT_EQ(GradientNorm(trainer.optimizer().trainables()), 0);
  EXPECT_NEAR(evaluated, trainer.Accumulate(examples).loss, 1e-6);
}

TEST(ArTrainer, PredictsInTheOrderOfTheExamples) {
  const Fixture fixture;
  Decoder decoder = fixture.MakeDecoder("ar", "full");
  ArTrainer trainer({decoder, at::eye(kWidth, at::kFloat)}, {.mse_scale = {}, .micro_rows = 40},
                    fixture.OptimizerSettings(), 10);
  const auto examples = fixture.ArExamples();
  const at::Tensor all = trainer.Predict(examples);
  for (size_t i = 0; i < examples.size(); ++i) {
    const at::Tensor alone = trainer.Predict(std::span(examples).subspan(i, 1));
    EXPECT_LT((all[static_cast<int64_t>(i)] - alone[0]).abs().max().item<double>(), 1e-4) << "row " << i;
  }
}

// bf16 against fp32 on the same weights: bf16 keeps 8 bits, and three blocks of random weights pass its rounding on; a
// wrong wiring is off by far more than 5%.
TEST(AvTrainer, Bf16StaysNearFp32) {
  const Fixture fixture;
  const auto losses = [&](at::ScalarType compute) {
    Decoder decoder = Decoder::Load(Checkpoint::Open(kModel), {.compute = compute, .blocks = {}, .with_head = true});
    AvTrainer trainer(decoder, {.injection = {InjectionRule::kReplace, {Scale::Kind::kNumber, 4.0}}, .micro_rows = 40},
                      fixture.OptimizerSettings(), 10);
    const auto examples = fixture.AvExamples();
    std::vector<double> all;
    for (int step = 0; step < 5; ++step) all.push_back(trainer.Step(examples).batch.loss);
    return all;
  };
  const auto wanted = losses(at::kFloat);
  const auto found = losses(at::kBFloat16);
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 0.05 * wanted[i]) << "step " << i;
  EXPECT_LT(found.back(), found.front());
}

}  // namespace
}  // namespace nla
