// The step: draw replies, let the live reconstructor read them, train both sides.
#include "train/grpo/rl_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/fail.h"
#include "nla/metrics.h"
#include "train/grpo/preflight.h"
#include "train/row_checks.h"

namespace nla {
namespace {

constexpr size_t kShownGroups = 2;  // of a step, in rollouts.jsonl
constexpr size_t kShownText = 160;  // bytes of a row's text

PolicyTrainerOptions PolicyOptions(const PairModel& model, const RlOptions& options) {
  return {.prompt = model.prompt,
          .injection = model.injection(),
          .temperature = options.temperature,
          .objective = options.objective,
          .micro_rows = options.micro_rows};
}

std::vector<float> Flat(std::span<const ActivationRow> rows) {
  std::vector<float> flat;
  for (const ActivationRow& row : rows) flat.insert(flat.end(), row.activation.begin(), row.activation.end());
  return flat;
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

// The end of a row's text, cut between characters.
std::string TextEnd(const std::string& text) {
  if (text.size() <= kShownText) return text;
  size_t begin = text.size() - kShownText;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) ++begin;
  return text.substr(begin);
}

}  // namespace

// The replies of a step, group after group, and what became of them.
struct RlTask::Replies {
  int64_t group = 1;                        // G
  std::vector<std::vector<float>> vectors;  // of each group
  std::vector<Sample> samples;
  std::vector<Reading> readings;
  std::vector<ArExample> examples;                // of the replies that have not failed
  std::vector<std::optional<double>> mse;         // against the own vector
  std::vector<std::optional<double>> mse_others;  // against the next group's
  std::vector<double> rewards, advantages;
  BatchLoss critic;  // of the pass that scored them; its gradients are waiting
  int64_t tokens = 0;
  Seconds seconds;
};

RlTask::RlTask(PairModel& model, const RlOptions& options)
    : model_(model),
      options_(options),
      rollout_(model, options.slots),
      scorer_(model, options.reward),
      policy_(model.actor.decoder, model.reference ? &*model.reference : nullptr, PolicyOptions(model, options),
              options.av, options.steps * options.epochs),
      reconstructor_({model.critic.decoder, model.critic.value_head},
                     {.mse_scale = {}, .micro_rows = options.micro_rows}, options.ar, options.steps * options.epochs) {}

void RlTask::CheckRows(std::span<const ActivationRow> rows) const {
  for (const ActivationRow& row : rows) {
    CheckRow(row, model_.dataset);
    if (row.prompt_messages == model_.messages) continue;
    Fail({.where = NameOf(row, model_.dataset),
          .what = "its prompt is not the one that the pair's template makes",
          .mend = "Build the dataset with the actor template of the pair"});
  }
}

nlohmann::ordered_json RlTask::Preflight(std::span<const ActivationRow> rows, std::span<const ActivationRow> heldout) {
  CheckRows(rows);
  return RunPreflight({.model = model_,
                       .options = options_,
                       .rollout = rollout_,
                       .policy = policy_,
                       .reconstructor = reconstructor_,
                       .scorer = scorer_,
                       .rows = rows,
                       .heldout = heldout});
}

RlTask::Replies RlTask::Draw(std::span<const ActivationRow> rows, int64_t step) {
  const Clock::time_point begin = Clock::now();
  Replies replies;
  replies.group = options_.samples;
  replies.vectors.reserve(rows.size());
  for (const ActivationRow& row : rows) replies.vectors.push_back(row.activation);
  const auto draws = static_cast<uint64_t>(options_.prompts * options_.samples);
  replies.samples = rollout_.Run(Flat(rows), {.samples = options_.samples,
                                              .temperature = options_.temperature,
                                              .max_new_tokens = options_.max_new_tokens,
                                              .seed = static_cast<uint64_t>(options_.seed) * 0x9e3779b97f4a7c15U +
                                                      static_cast<uint64_t>(step) * draws});
  for (const Sample& sample : replies.samples) {
    replies.tokens += static_cast<int64_t>(sample.ids.size());
    replies.readings.push_back(scorer_.Read(sample));
  }
  replies.seconds.rollout = SecondsSince(begin);
  return replies;
}

// The reconstructor reads all replies that have not failed; the same pass leaves the gradients of its own loss.
void RlTask::ScoreReplies(Replies& replies) {
  const Clock::time_point begin = Clock::now();
  const auto group = static_cast<size_t>(replies.group);
  const size_t groups = replies.vectors.size();
  std::vector<size_t> scored;
  for (size_t i = 0; i < replies.readings.size(); ++i) {
    if (replies.readings[i].failed()) continue;
    scored.push_back(i);
    replies.examples.push_back({replies.readings[i].prompt, replies.vectors[i / group]});
  }
  replies.mse.resize(replies.samples.size());
  replies.mse_others.resize(replies.samples.size());
  if (!scored.empty()) {
    const ArTrainer::Scored pass = reconstructor_.Score(replies.examples);
    replies.critic = pass.batch;
    const float* predicted = pass.predicted_BD.const_data_ptr<float>();
    const auto width = static_cast<size_t>(model_.d_model());
    for (size_t k = 0; k < scored.size(); ++k) {
      const std::span<const float> row(predicted + k * width, width);
      const size_t own = scored[k] / group;
      replies.mse[scored[k]] = DirectionMse(row, replies.vectors[own]);
      if (groups > 1) replies.mse_others[scored[k]] = DirectionMse(row, replies.vectors[(own + 1) % groups]);
    }
  }
  replies.rewards.reserve(replies.samples.size());
  for (size_t i = 0; i < replies.samples.size(); ++i) {
    replies.rewards.push_back(scorer_.Reward(replies.samples[i], replies.mse[i]));
  }
  replies.advantages = GroupAdvantages(replies.rewards, replies.group);
  replies.seconds.score = SecondsSince(begin);
}

std::vector<PolicyGroup> RlTask::Groups(const Replies& replies) const {
  std::vector<PolicyGroup> groups;
  groups.reserve(replies.vectors.size());
  for (size_t g = 0; g < replies.vectors.size(); ++g) {
    PolicyGroup group{.activation = replies.vectors[g], .replies = {}};
    for (int64_t j = 0; j < replies.group; ++j) {
      const size_t i = g * static_cast<size_t>(replies.group) + static_cast<size_t>(j);
      group.replies.push_back({replies.samples[i].ids, replies.samples[i].logprobs, replies.advantages[i]});
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

void RlTask::Train(Replies& replies, nlohmann::ordered_json& figures) {
  const Clock::time_point begin = Clock::now();
  PolicyBatch batch = policy_.Prepare(Groups(replies));
  PolicyLoss loss;
  StepOutcome actor;
  StepOutcome critic;
  for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
    loss = policy_.Accumulate(batch);
    const StepOutcome outcome = policy_.optimizer().Step();
    actor = {outcome.lr, outcome.grad_norm, actor.skipped || outcome.skipped};
    if (replies.examples.empty()) continue;
    if (epoch > 0) reconstructor_.Accumulate(replies.examples);
    const StepOutcome of_critic = reconstructor_.optimizer().Step();
    critic = {of_critic.lr, of_critic.grad_norm, critic.skipped || of_critic.skipped};
  }
  replies.seconds.train = SecondsSince(begin);
  figures["policy_loss"] = loss.policy;
  if (model_.reference) figures["kl"] = loss.kl;
  figures["clip_fraction"] = loss.clipped;
  figures["entropy"] = loss.entropy;
  figures["rollout_gap"] = loss.rollout_gap;
  figures["av_lr"] = actor.lr;
  figures["av_grad_norm"] = actor.grad_norm;
  figures["av_skipped"] = actor.skipped;
  if (!replies.examples.empty()) {
    figures["ar_loss"] = replies.critic.loss;
    figures["ar_lr"] = critic.lr;
    figures["ar_grad_norm"] = critic.grad_norm;
    figures["ar_skipped"] = critic.skipped;
  }
}

nlohmann::ordered_json RlTask::RewardFigures(const Replies& replies) const {
  std::vector<double> own;
  std::vector<double> others;
  for (const std::optional<double>& mse : replies.mse) {
    if (mse) own.push_back(*mse);
  }
  for (const std::optional<double>& mse : replies.mse_others) {
    if (mse) others.push_back(*mse);
  }
  std::vector<double> best;
  std::vector<double> spread;
  const auto group = static_cast<size_t>(replies.group);
  for (size_t begin = 0; begin < replies.rewards.size(); begin += group) {
    const std::vector<double> rewards(replies.rewards.begin() + static_cast<int64_t>(begin),
                                      replies.rewards.begin() + static_cast<int64_t>(begin + group));
    const double mean = Mean(rewards);
    double squares = 0;
    for (const double reward : rewards) squares += (reward - mean) * (reward - mean);
    spread.push_back(std::sqrt(squares / static_cast<double>(group - 1)));
    best.push_back(*std::max_element(rewards.begin(), rewards.end()));
  }
  const auto count = static_cast<double>(replies.samples.size());
  nlohmann::ordered_json figures = {{"reward", Mean(replies.rewards)},
                                    {"reward_best", Mean(best)},
                                    {"reward_spread", Mean(spread)},
                                    {"extraction_rate", static_cast<double>(own.size()) / count},
                                    {"tokens_mean", static_cast<double>(replies.tokens) / count}};
  if (!own.empty()) figures["mse"] = Mean(own);
  if (!others.empty()) figures["mse_other_vector"] = Mean(others);
  return figures;
}

std::vector<nlohmann::ordered_json> RlTask::Shown(std::span<const ActivationRow> rows, const Replies& replies) const {
  std::vector<nlohmann::ordered_json> shown;
  const auto group = static_cast<size_t>(replies.group);
  for (size_t i = 0; i < std::min(kShownGroups, rows.size()) * group; ++i) {
    const ActivationRow& row = rows[i / group];
    shown.push_back({{"doc_id", row.doc_id},
                     {"n_raw_tokens", row.n_raw_tokens},
                     {"text", TextEnd(row.text)},
                     {"reply", replies.samples[i].text},
                     {"failed", replies.readings[i].failed()},
                     {"reward", replies.rewards[i]},
                     {"advantage", replies.advantages[i]}});
  }
  return shown;
}

RlStep RlTask::Step(std::span<const ActivationRow> rows, int64_t step) {
  CheckRows(rows);
  Replies replies = Draw(rows, step);
  ScoreReplies(replies);
  RlStep result;
  result.figures = RewardFigures(replies);
  Train(replies, result.figures);
  result.rollouts = Shown(rows, replies);
  result.tokens = replies.tokens;
  result.skipped = result.figures.value("av_skipped", false) || result.figures.value("ar_skipped", false);
  result.figures["rollout_seconds"] = replies.seconds.rollout;
  result.figures["score_seconds"] = replies.seconds.score;
  result.figures["train_seconds"] = replies.seconds.train;
  return result;
}

}  // namespace nla
