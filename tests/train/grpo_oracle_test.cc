// The verbalizer's step against the PyTorch oracle (tools/oracles/grpo_oracle.py): advantages, the objective with every
// KL estimator, three updates on the same replies with their losses, and every gradient of the third. fp32.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/file.h"
#include "base/random.h"
#include "model/ops/cross_entropy.h"
#include "model/tensor_io.h"
#include "train/grpo/policy_trainer.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

const fs::path kGolden = fs::path(NLA_SOURCE_DIR) / "tests/train/golden";
const fs::path kModel = fs::path(NLA_SOURCE_DIR) / "tests/model/golden/tiny_llama";

// fp32 sums in another order, through two updates; gradients relative to the tensor's largest entry.
constexpr double kLossTolerance = 2e-4;
constexpr double kGradientTolerance = 2e-3;

struct Fixture {
  SafetensorsFile file = SafetensorsFile::Open(kGolden / "grpo_golden.safetensors");
  nlohmann::json settings = nlohmann::json::parse(ReadFile(kGolden / "grpo_fixture.json"));

  template <typename T>
  std::vector<T> Values(const std::string& name) const {
    const TensorView* view = file.Find(name);
    EXPECT_NE(view, nullptr) << name;
    std::vector<T> values(view->bytes.size() / sizeof(T));
    EXPECT_EQ(static_cast<int64_t>(values.size()), view->numel()) << name;
    std::memcpy(values.data(), view->bytes.data(), view->bytes.size());
    return values;
  }
  at::Tensor Tensor(const std::string& name) const {
    const TensorView* view = file.Find(name);
    EXPECT_NE(view, nullptr) << name;
    return ToTensor(*view, {view->shape.begin(), view->shape.end()}, at::kFloat, name);
  }
  double Number(const char* name) const { return settings.at(name).get<double>(); }

  ObjectiveOptions ObjectiveSettings(const std::string& kind, bool importance) const {
    return {.clip_low = Number("clip_low"),
            .clip_high = Number("clip_high"),
            .kl_kind = kind,
            .kl_coef = Number("kl_coef"),
            .importance = importance,
            .importance_cap = Number("importance_cap")};
  }

  std::vector<double> Advantages() const {
    const std::vector<float> rewards = Values<float>("rewards");
    return GroupAdvantages(std::vector<double>(rewards.begin(), rewards.end()), settings.at("samples"));
  }

  std::vector<PolicyGroup> Groups() const {
    const auto ids = Values<int32_t>("response_ids");
    const auto lengths = Values<int32_t>("response_lengths");
    const auto rollout = Values<float>("rollout_logprobs");
    const auto vectors = Values<float>("vectors");
    const std::vector<double> advantages = Advantages();
    const size_t groups = settings.at("groups");
    const size_t samples = settings.at("samples");
    const size_t width = vectors.size() / groups;
    std::vector<PolicyGroup> all(groups);
    int64_t begin = 0;
    for (size_t i = 0; i < lengths.size(); ++i) {
      PolicyGroup& group = all[i / samples];
      const auto row = vectors.begin() + static_cast<int64_t>(i / samples * width);
      group.activation.assign(row, row + static_cast<int64_t>(width));
      const int64_t end = begin + lengths[i];
      group.replies.push_back({.ids = {ids.begin() + begin, ids.begin() + end},
                               .rollout_logprobs = {rollout.begin() + begin, rollout.begin() + end},
                               .advantage = advantages[i]});
      begin = end;
    }
    return all;
  }

  Decoder MakePolicy(const std::string& method) const {
    Decoder decoder = Decoder::Load(Checkpoint::Open(kModel), {});
    if (method != "lora") return decoder;
    decoder.AddAdapters({settings.at("lora_rank"), settings.at("lora_alpha")}, 1);
    const at::NoGradGuard no_grad;
    for (const NamedTensor& named : decoder.AdapterWeights()) named.tensor.copy_(Tensor(OracleName(named.name)));
    return decoder;
  }

  PolicyTrainerOptions TrainerSettings(const nlohmann::json& chosen, int64_t micro_rows) const {
    return {.prompt = {Values<int32_t>("prompt_ids"), settings.at("site")},
            .injection = {.rule = InjectionRule::kReplace, .scale = {Scale::Kind::kNumber, Number("injection_scale")}},
            .temperature = Number("temperature"),
            .objective = ObjectiveSettings(chosen.at("kl_kind"), chosen.at("importance")),
            .micro_rows = micro_rows};
  }

  OptimizerOptions OptimizerSettings(const nlohmann::json& chosen) const {
    OptimizerOptions options;
    options.lr = chosen.at("learning_rate");
    options.schedule.shape = "constant";
    options.beta1 = Number("adam_beta1");
    options.beta2 = Number("adam_beta2");
    options.eps = Number("adam_epsilon");
    options.clip = Number("clip_norm");
    return options;
  }

  static std::string OracleName(const std::string& name) {
    const std::string peft = "base_model.model.";
    return name.starts_with(peft) ? name.substr(peft.size()) : name;
  }
};

TEST(GroupAdvantages, EqualTheOracles) {
  const Fixture fixture;
  const std::vector<double> found = fixture.Advantages();
  const auto wanted = fixture.Values<double>("advantages");
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-9) << i;
}

TEST(WidestRewards, HaveTheLargestVarianceOfAllSubsets) {
  const std::vector<std::vector<double>> cases = {
      {-0.3, -0.2, -2, -0.25, -0.1, -0.4}, {1, 2, 3, 4, 5, 6}, {0, 0, 0, 0, 0, 1}, {-2, -2, -2, -2, -0.1, -0.2}};
  const auto spread = [](const std::vector<double>& values) {
    double mean = 0;
    double squares = 0;
    for (const double value : values) mean += value / static_cast<double>(values.size());
    for (const double value : values) squares += (value - mean) * (value - mean);
    return squares;
  };
  for (const std::vector<double>& rewards : cases) {
    for (int64_t count = 2; count <= 6; ++count) {
      double best = 0;
      for (unsigned subset = 0; subset < 64; ++subset) {
        std::vector<double> values;
        for (size_t i = 0; i < rewards.size(); ++i) {
          if ((subset >> i & 1U) != 0) values.push_back(rewards[i]);
        }
        if (static_cast<int64_t>(values.size()) == count) best = std::max(best, spread(values));
      }
      const std::vector<size_t> chosen = WidestRewards(rewards, count);
      std::vector<double> values;
      for (const size_t i : chosen) values.push_back(rewards[i]);
      EXPECT_EQ(static_cast<int64_t>(chosen.size()), count);
      EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
      EXPECT_NEAR(spread(values), best, 1e-12);
    }
  }
}

TEST(GroupAdvantages, AGroupOfEqualRewardsTeachesNothing) {
  for (const double advantage : GroupAdvantages(std::vector<double>{-2, -2, -2, -2}, 2)) EXPECT_EQ(advantage, 0);
}

class ObjectiveOracle : public testing::TestWithParam<std::tuple<std::string, bool>> {};

TEST_P(ObjectiveOracle, LossAndGradient) {
  const auto& [kind, importance] = GetParam();
  const Fixture fixture;
  TokenTerms terms{.logprobs = fixture.Tensor("terms.logprobs"),
                   .old = fixture.Tensor("terms.old"),
                   .reference = fixture.Tensor("terms.reference"),
                   .rollout = fixture.Tensor("terms.rollout"),
                   .advantages = fixture.Tensor("terms.advantages"),
                   .weights = fixture.Tensor("terms.weights")};
  terms.logprobs.requires_grad_(true);
  const ObjectiveOptions options = fixture.ObjectiveSettings(kind, importance);
  const ObjectiveValue value = Objective(terms, options);
  value.loss.backward();
  const std::string place = "terms." + kind + (importance ? ".importance" : ".plain");
  EXPECT_NEAR(value.loss.item<double>(), fixture.Values<double>(place + ".loss")[0], 1e-6);
  EXPECT_NEAR(value.policy + options.kl_coef * value.kl, value.loss.item<double>(), 1e-6);
  const auto wanted = fixture.Values<double>(place + ".grad");
  const at::Tensor& found = terms.logprobs.grad();
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_NEAR(found[static_cast<int64_t>(i)].item<double>(), wanted[i], 1e-6) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, ObjectiveOracle, testing::Combine(testing::Values("k1", "k2", "k3"), testing::Bool()),
                         [](const auto& chosen) {
                           return std::get<0>(chosen.param) + (std::get<1>(chosen.param) ? "_importance" : "");
                         });

// The case, and the most packed rows of a micro-batch: 4096 takes a group whole, 20 one or two replies at a time.
class GrpoOracle : public testing::TestWithParam<std::tuple<std::string, int64_t>> {};

void ExpectGradients(const Fixture& fixture, const std::string& name, const std::vector<Trainable>& trainables) {
  size_t checked = 0;
  for (const Trainable& trainable : trainables) {
    const std::string place = name + ".grad." + Fixture::OracleName(trainable.name);
    ASSERT_NE(fixture.file.Find(place), nullptr) << place;
    const at::Tensor wanted = fixture.Tensor(place);
    const double scale = std::max(1e-6, wanted.abs().max().item<double>());
    EXPECT_LT((trainable.grad - wanted).abs().max().item<double>() / scale, kGradientTolerance) << place;
    ++checked;
  }
  const auto in_golden = std::count_if(fixture.file.tensors().begin(), fixture.file.tensors().end(),
                                       [&](const TensorView& view) { return view.name.starts_with(name + ".grad."); });
  EXPECT_EQ(checked, static_cast<size_t>(in_golden)) << "the oracle trains other tensors";
}

TEST_P(GrpoOracle, UpdatesOnTheSameReplies) {
  const auto& [name, micro_rows] = GetParam();
  const Fixture fixture;
  const nlohmann::json chosen = fixture.settings.at("cases").at(name);
  Decoder policy = fixture.MakePolicy(chosen.at("method"));
  const Decoder reference = Decoder::Load(Checkpoint::Open(kModel), {});
  const int64_t updates = fixture.settings.at("updates");
  PolicyTrainer trainer(policy, &reference, fixture.TrainerSettings(chosen, micro_rows),
                        fixture.OptimizerSettings(chosen), updates);
  PolicyBatch batch = trainer.Prepare(fixture.Groups());
  EXPECT_EQ(batch.tokens, static_cast<int64_t>(fixture.Values<int32_t>("response_ids").size()));
  const auto losses = fixture.Values<float>(name + ".losses");
  const auto kls = fixture.Values<float>(name + ".kls");
  const auto clipped = fixture.Values<float>(name + ".clipped");
  const auto norms = fixture.Values<float>(name + ".grad_norms");
  for (size_t update = 0; update < losses.size(); ++update) {
    const PolicyLoss loss = trainer.Accumulate(batch);
    EXPECT_NEAR(loss.loss, losses[update], kLossTolerance) << update;
    EXPECT_NEAR(loss.kl, kls[update], kLossTolerance) << update;
    EXPECT_NEAR(loss.clipped, clipped[update], 1e-5) << update;
    if (update + 1 == losses.size()) ExpectGradients(fixture, name, trainer.optimizer().trainables());
    const StepOutcome outcome = trainer.optimizer().Step();
    EXPECT_NEAR(outcome.grad_norm, norms[update], kGradientTolerance * norms[update]) << update;
    EXPECT_FALSE(outcome.skipped);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, GrpoOracle,
    testing::Combine(testing::Values("lora_k1", "lora_k2", "lora_k3", "lora_k3_importance", "full_k3"),
                     testing::Values(4096, 20)),
    [](const auto& chosen) { return std::get<0>(chosen.param) + "_" + std::to_string(std::get<1>(chosen.param)); });

TEST(PolicyTrainer, LogprobsAreThoseOfTheLossInTheOrderOfTheReplies) {
  const Fixture fixture;
  Decoder policy = fixture.MakePolicy("lora");
  const nlohmann::json chosen = fixture.settings.at("cases").at("lora_k3");
  // One reply a micro-batch, sorted by length: the order of the rows is not that of the replies.
  PolicyTrainer trainer(policy, nullptr, fixture.TrainerSettings(chosen, 1), fixture.OptimizerSettings(chosen), 1);
  std::vector<PolicyGroup> groups = fixture.Groups();
  const auto logprobs = trainer.Logprobs(groups);
  EXPECT_EQ(GradientNorm(trainer.optimizer().trainables()), 0);
  for (size_t g = 0; g < groups.size(); ++g) {
    for (size_t j = 0; j < groups[g].replies.size(); ++j) {
      ASSERT_EQ(logprobs[g][j].size(), groups[g].replies[j].ids.size());
      groups[g].replies[j].rollout_logprobs = logprobs[g][j];
    }
  }
  PolicyBatch batch = trainer.Prepare(groups);
  const PolicyLoss loss = trainer.Accumulate(batch);
  EXPECT_NEAR(loss.rollout_gap, 0, 1e-6);
  EXPECT_EQ(loss.kl, 0);
  EXPECT_GT(loss.entropy, 0);
}

// The chunked op against the whole projection, over more rows than a chunk has.
TEST(ScoreTokens, EqualsLogSoftmaxWithItsGradients) {
  const int64_t rows = 150;
  const int64_t width = 24;
  const int64_t vocabulary = 60;
  const auto normals = [](at::IntArrayRef shape, uint64_t seed) {
    at::Tensor tensor = at::empty(shape, at::kFloat);
    CounterRandom random(seed, 0);
    float* data = tensor.mutable_data_ptr<float>();
    for (int64_t i = 0; i < tensor.numel(); ++i) data[i] = random.Normal();
    return tensor;
  };
  at::Tensor hidden = normals({rows, width}, 1);
  at::Tensor head = normals({vocabulary, width}, 2);
  const at::Tensor upstream = normals({rows}, 3);
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < rows; ++i) ids.push_back(i * 7 % vocabulary);
  const at::Tensor targets = at::tensor(ids, at::kLong);
  const double temperature = 1.7;
  hidden.requires_grad_(true);
  head.requires_grad_(true);
  const at::Tensor logs = at::log_softmax(at::linear(hidden, head) / temperature, 1);
  const at::Tensor wanted = logs.gather(1, targets.unsqueeze(1)).squeeze(1);
  (wanted * upstream).sum().backward();
  const at::Tensor hidden_grad = hidden.grad().clone();
  const at::Tensor head_grad = head.grad().clone();
  hidden.mutable_grad().reset();
  head.mutable_grad().reset();
  const ops::TokenScores found = ops::ScoreTokens(hidden, head, targets, temperature);
  (found.logprobs_R * upstream).sum().backward();
  EXPECT_LT((found.logprobs_R - wanted).abs().max().item<double>(), 1e-4);
  EXPECT_LT((found.entropies_R + (logs.exp() * logs).sum(1)).abs().max().item<double>(), 1e-4);
  EXPECT_FALSE(found.entropies_R.requires_grad());
  EXPECT_LT((hidden.grad() - hidden_grad).abs().max().item<double>(), 1e-4);
  EXPECT_LT((head.grad() - head_grad).abs().max().item<double>(), 1e-3);
}

}  // namespace
}  // namespace nla
