// One function a check.
#include "train/grpo/preflight.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "base/log.h"
#include "nla/metrics.h"

namespace nla {
namespace {

constexpr size_t kRows = 4;       // activations that the first two checks use
constexpr size_t kLabels = 64;    // labels scored at most
constexpr size_t kFewLabels = 8;  // fewer prove nothing

// Mean distance of log-probabilities of the same tokens that engine and trainer may have. In fp32 they differ by the
// order of sums; in bf16 by the rounding of every linear as well.
double Agreement(at::ScalarType compute) { return compute == at::kFloat ? 1e-3 : 5e-2; }

// The reward of a vector against itself, computed twice in different batches.
constexpr double kSameVector = 1e-2;

using Logprobs = std::vector<std::vector<std::vector<float>>>;

double MeanDistance(const Logprobs& a, const Logprobs& b) {
  double sum = 0;
  double count = 0;
  for (size_t g = 0; g < a.size(); ++g) {
    for (size_t j = 0; j < a[g].size(); ++j) {
      for (size_t t = 0; t < a[g][j].size(); ++t, ++count) {
        sum += std::abs(static_cast<double>(a[g][j][t]) - static_cast<double>(b[g][j][t]));
      }
    }
  }
  return sum / count;
}

struct Drawn {
  std::vector<PolicyGroup> groups;
  Logprobs rollout;  // as the engine had them
};

Drawn Draw(const PreflightInput& in) {
  const size_t count = std::min(kRows, in.rows.size());
  const int64_t replies = std::min<int64_t>(2, in.options.samples);
  std::vector<float> vectors;
  for (const ActivationRow& row : in.rows.first(count)) {
    vectors.insert(vectors.end(), row.activation.begin(), row.activation.end());
  }
  const std::vector<Sample> samples = in.rollout.Run(vectors, {.samples = replies,
                                                               .temperature = in.options.temperature,
                                                               .max_new_tokens = in.options.max_new_tokens,
                                                               .seed = static_cast<uint64_t>(in.options.seed)});
  Drawn drawn;
  for (size_t g = 0; g < count; ++g) {
    PolicyGroup group{.activation = in.rows[g].activation, .replies = {}};
    std::vector<std::vector<float>>& logprobs = drawn.rollout.emplace_back();
    for (int64_t j = 0; j < replies; ++j) {
      const Sample& sample = samples[g * static_cast<size_t>(replies) + static_cast<size_t>(j)];
      group.replies.push_back({.ids = sample.ids, .rollout_logprobs = sample.logprobs});
      logprobs.push_back(sample.logprobs);
    }
    drawn.groups.push_back(std::move(group));
  }
  return drawn;
}

double CheckAgreement(const PreflightInput& in, const Drawn& drawn, const Logprobs& trainer) {
  const double distance = MeanDistance(trainer, drawn.rollout);
  const double limit = in.rollout.Agreement().value_or(Agreement(in.model.actor.decoder.compute()));
  if (!(distance <= limit)) {
    const bool raw = !in.options.rollout.servers.empty() && in.options.temperature != 1;
    Fail({.where = "preflight: log-probabilities",
          .what = "rollout and trainer do not agree on the same tokens",
          .found = fmt::format("a mean distance of {:.2g} nats", distance),
          .wanted = fmt::format("at most {:.2g}", limit),
          .mend = fmt::format("{}The policy that writes would not be the one that is trained: try dtype fp32. Servers "
                              "that compute in another number type need rollout.agreement, and importance.on",
                              raw ? "A vLLM's are those of temperature 1 unless it is started with --logprobs-mode "
                                    "processed_logprobs. "
                                  : "")});
  }
  return distance;
}

// The same replies under every other vector, and under none.
nlohmann::ordered_json CheckInjection(const PreflightInput& in, const Drawn& drawn, const Logprobs& trainer,
                                      double agreement) {
  std::vector<PolicyGroup> groups = drawn.groups;
  std::rotate(groups.begin(), groups.begin() + 1, groups.end());
  for (size_t g = 0; g < groups.size(); ++g) groups[g].replies = drawn.groups[g].replies;
  const double other = MeanDistance(trainer, in.policy.Logprobs(groups));
  for (PolicyGroup& group : groups) std::fill(group.activation.begin(), group.activation.end(), 0.0F);
  const double none = MeanDistance(trainer, in.policy.Logprobs(groups));
  const double wanted = std::max(1e-4, 2 * agreement);
  if (!(std::min(other, none) > wanted)) {
    Fail({.where = "preflight: injection",
          .what = "the replies are as probable with another vector, or with none, as with their own",
          .found = fmt::format("distances of {:.2g} and {:.2g} nats a token", other, none),
          .wanted = fmt::format("above {:.2g}", wanted),
          .mend = "The verbalizer does not read its vector: train it with `nla train av` first"});
  }
  return {{"other_vector", other}, {"no_vector", none}};
}

std::vector<float> Predict(const PreflightInput& in, const std::vector<ArExample>& examples) {
  const at::Tensor predicted_BD = in.reconstructor.Predict(examples);
  const float* data = predicted_BD.const_data_ptr<float>();
  return {data, data + predicted_BD.numel()};
}

// The reconstructor's own vector is worth no loss, and a reply that was cut is worth what a failed one is.
double CheckReward(const PreflightInput& in) {
  Sample sample{.ids = {0}, .logprobs = {0}, .stopped = true, .text = WrapExplanation("a text")};
  const Reading reading = in.scorer.Read(sample);
  const auto refuse = [](const char* what, double found, double wanted) {
    Fail({.where = "preflight: reward",
          .what = what,
          .found = fmt::format("{:.4g}", found),
          .wanted = fmt::format("{:.4g}", wanted),
          .mend = "The reward path is broken: report it"});
  };
  if (reading.failed()) refuse("a whole reply counts as failed: its prompt's rows", 0, 1);
  const ArExample alone{.prompt = reading.prompt, .activation = {}};
  const std::vector<float> first = Predict(in, {alone});
  const std::vector<float> again = Predict(in, {alone, {.prompt = in.scorer.PromptFor("others"), .activation = {}}});
  const double mse = DirectionMse(std::span(again).first(first.size()), first);
  if (!(mse <= kSameVector)) refuse("the reconstructor's own vector has an error", mse, 0);
  for (const bool without_tag : {false, true}) {
    Sample cut = sample;
    cut.stopped = without_tag;
    if (without_tag) cut.text = "<explanation>\na text";
    const double reward = in.scorer.Reward(cut, std::nullopt);
    const double failed = in.options.reward.kind == "log_mse" ? -std::log(2.0) : -2.0;
    if (!in.scorer.Read(cut).failed()) refuse("a reply that was cut does not count as failed: its reward", 0, failed);
    if (std::abs(reward - failed) > 1e-9) refuse("a failed reply has another reward", reward, failed);
  }
  return mse;
}

// The label of a row, where the file has one.
std::string LabelOf(const ActivationRow& row) {
  if (!row.explanation.empty()) return row.explanation;
  return ExtractExplanation(row.response).value_or("");
}

// Labels must be worth more beside their own vectors than beside others'.
nlohmann::ordered_json CheckLabels(const PreflightInput& in) {
  std::vector<ArExample> examples;
  std::vector<float> gold;
  for (const std::span<const ActivationRow> rows : {in.heldout, in.rows}) {
    for (const ActivationRow& row : rows) {
      const std::string label = LabelOf(row);
      if (label.empty() || examples.size() >= kLabels) continue;
      std::vector<TokenId> prompt = in.scorer.PromptFor(label);
      if (prompt.empty()) continue;
      examples.push_back({.prompt = std::move(prompt), .activation = {}});
      gold.insert(gold.end(), row.activation.begin(), row.activation.end());
    }
  }
  if (examples.size() < kFewLabels) {
    spdlog::info("preflight: no labels in the data: their reward is not checked");
    return nullptr;
  }
  const auto width = static_cast<size_t>(in.model.d_model());
  const std::vector<float> predicted = Predict(in, examples);
  const std::vector<float> shuffled = ShuffledRows(predicted, in.model.d_model());
  double own = 0;
  double others = 0;
  const auto count = static_cast<double>(examples.size());
  for (size_t i = 0; i < examples.size(); ++i) {
    const auto row = [&](const std::vector<float>& rows) { return std::span(rows).subspan(i * width, width); };
    own -= DirectionMse(row(predicted), row(gold)) / count;
    others -= DirectionMse(row(shuffled), row(gold)) / count;
  }
  if (!(own > others)) {
    Fail({.where = "preflight: labels",
          .what = "are worth no more beside their own vectors than beside others'",
          .found = fmt::format("rewards {:.4f} and {:.4f} over {} labels", own, others, examples.size()),
          .mend = "The reconstructor does not read its text: train it with `nla train ar` first, and see that the "
                  "held-out labels belong to their rows"});
  }
  return {{"own", own}, {"shuffled", others}, {"count", static_cast<int64_t>(examples.size())}};
}

}  // namespace

nlohmann::ordered_json RunPreflight(const PreflightInput& input) {
  NLA_CHECK(input.rows.size() >= 2);
  const Drawn drawn = Draw(input);
  const Logprobs trainer = input.policy.Logprobs(drawn.groups);
  nlohmann::ordered_json figures;
  const double agreement = CheckAgreement(input, drawn, trainer);
  figures["logprob_distance"] = agreement;
  figures["injection"] = CheckInjection(input, drawn, trainer, agreement);
  figures["own_vector_mse"] = CheckReward(input);
  figures["labels"] = CheckLabels(input);
  return figures;
}

}  // namespace nla
