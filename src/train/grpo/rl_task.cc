// The step: draw replies, let the live reconstructor read them, train both sides.
#include "train/grpo/rl_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/clock.h"
#include "base/fail.h"
#include "nla/metrics.h"
#include "text/unicode.h"
#include "train/collectives/rank_share.h"
#include "train/grpo/preflight.h"
#include "train/grpo/server_rollout.h"
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

}  // namespace

// This rank's replies of a step, group after group, and what became of them.
struct RlTask::Replies {
  int64_t group = 1;                        // G
  std::vector<std::vector<float>> vectors;  // of each group
  std::vector<float> next_vector;           // of the group after the last, which another rank may have
  std::vector<Sample> samples;
  std::vector<Reading> readings;
  std::vector<std::vector<ArExample>> examples;   // of each part, the replies that have not failed
  std::vector<std::optional<double>> mse;         // against the own vector
  std::vector<std::optional<double>> mse_others;  // against the next group's
  std::vector<double> rewards;
  std::vector<std::vector<size_t>> learned;   // of each group, the replies that the verbalizer learns from
  std::vector<double> advantages;             // of these; 0 of the others
  double critic_loss = 0, critic_weight = 0;  // of the passes that scored them: mean, and of how many
  StepOutcome critic;                         // of the updates that they led to
  Seconds seconds;
};

// What became of all ranks' replies, in order; NaN: the reply has no such number.
struct RlTask::Outcomes {
  std::vector<double> rewards, mse, mse_others, tokens;
};

RlTask::RlTask(PairModel& model, const RlOptions& options, std::shared_ptr<Communicator> ranks)
    : model_(model),
      options_(options),
      ranks_(std::move(ranks)),
      scorer_(model, options.reward),
      policy_(model.actor.decoder, model.reference ? &*model.reference : nullptr, PolicyOptions(model, options),
              options.av, options.steps * options.epochs, ranks_),
      rollout_(MakeRollout(model, options, policy_.optimizer(), ranks_)),
      reconstructor_({model.critic.decoder, model.critic.value_head},
                     {.mse_scale = {}, .micro_rows = options.micro_rows}, options.ar,
                     options.steps * options.epochs * options.ar_updates, ranks_) {}

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
                       .rollout = *rollout_,
                       .policy = policy_,
                       .reconstructor = reconstructor_,
                       .scorer = scorer_,
                       .rows = rows,
                       .heldout = heldout});
}

// Replies to this rank's share of the rows, drawn as one process would draw them.
RlTask::Replies RlTask::Draw(std::span<const ActivationRow> rows, int64_t step) {
  const Clock::time_point begin = Clock::now();
  const std::span<const ActivationRow> share = RankShare(rows, *ranks_);
  const size_t first = RankBegin(rows.size(), *ranks_);
  Replies replies;
  replies.group = options_.samples;
  replies.vectors.reserve(share.size());
  for (const ActivationRow& row : share) replies.vectors.push_back(row.activation);
  replies.next_vector = rows[(first + share.size()) % rows.size()].activation;
  const auto draws = static_cast<uint64_t>(options_.prompts * options_.samples);
  replies.samples =
      rollout_->Run(Flat(share), {.samples = options_.samples,
                                  .temperature = options_.temperature,
                                  .max_new_tokens = options_.max_new_tokens,
                                  .seed = static_cast<uint64_t>(options_.seed) * 0x9e3779b97f4a7c15U +
                                          static_cast<uint64_t>(step) * draws +
                                          static_cast<uint64_t>(first) * static_cast<uint64_t>(options_.samples)});
  for (const Sample& sample : replies.samples) replies.readings.push_back(scorer_.Read(sample));
  replies.seconds.rollout = SecondsSince(begin);
  return replies;
}

// The reconstructor reads the replies that have not failed; the pass that scores them is the one that it learns from.
void RlTask::ScoreReplies(Replies& replies) {
  const Clock::time_point begin = Clock::now();
  replies.mse.resize(replies.samples.size());
  replies.mse_others.resize(replies.samples.size());
  replies.examples.resize(static_cast<size_t>(options_.ar_updates));
  for (size_t part = 0; part < replies.examples.size(); ++part) ScorePart(part, replies);
  replies.rewards.reserve(replies.samples.size());
  for (size_t i = 0; i < replies.samples.size(); ++i) {
    replies.rewards.push_back(scorer_.Reward(replies.samples[i], replies.mse[i]));
  }
  ChooseLearned(options_.learn_from > 0 ? options_.learn_from : replies.group, replies);
  replies.seconds.score = SecondsSince(begin);
}

// A part has every ar_updates-th group, whole, so that rewards are compared under the same weights; and so that several
// ranks, which have consecutive groups, make up the parts that one process has.
void RlTask::ScorePart(size_t part, Replies& replies) {
  const auto group = static_cast<size_t>(replies.group);
  const size_t groups = replies.vectors.size();
  std::vector<size_t> scored;
  std::vector<ArExample>& examples = replies.examples[part];
  for (size_t g = part; g < groups; g += replies.examples.size()) {
    for (size_t i = g * group; i < (g + 1) * group; ++i) {
      if (replies.readings[i].failed()) continue;
      scored.push_back(i);
      examples.push_back({replies.readings[i].prompt, replies.vectors[g]});
    }
  }
  BatchLoss batch;
  if (!scored.empty()) {
    const ArTrainer::Scored pass = reconstructor_.Score(examples);
    batch = pass.batch;
    const float* predicted = pass.predicted_BD.const_data_ptr<float>();
    const auto width = static_cast<size_t>(model_.d_model());
    for (size_t k = 0; k < scored.size(); ++k) {
      const std::span<const float> row(predicted + k * width, width);
      const size_t own = scored[k] / group;
      replies.mse[scored[k]] = DirectionMse(row, replies.vectors[own]);
      if (options_.prompts == 1) continue;  // there is no other
      const std::vector<float>& other = own + 1 < groups ? replies.vectors[own + 1] : replies.next_vector;
      replies.mse_others[scored[k]] = DirectionMse(row, other);
    }
    const double weight = replies.critic_weight + batch.weight;
    replies.critic_loss += (batch.loss - replies.critic_loss) * (batch.weight / weight);
    replies.critic_weight = weight;
  }
  StepCritic(part, batch, replies);
}

// One update on the gradients that wait. A part that taught nothing on any rank takes no step.
void RlTask::StepCritic(size_t part, const BatchLoss& batch, Replies& replies) {
  double learned = static_cast<double>(replies.examples[part].size());
  ranks_->Sum({&learned, 1});
  if (learned == 0) return;
  const StepOutcome outcome = reconstructor_.optimizer().Step(batch.weight);
  replies.critic = {outcome.lr, outcome.grad_norm, replies.critic.skipped || outcome.skipped};
}

void RlTask::ChooseLearned(int64_t count, Replies& replies) {
  const auto group = static_cast<size_t>(replies.group);
  replies.advantages.assign(replies.rewards.size(), 0);
  for (size_t first = 0; first < replies.rewards.size(); first += group) {
    std::vector<size_t>& learned = replies.learned.emplace_back(
        WidestRewards(std::span<const double>(replies.rewards).subspan(first, group), count));
    std::vector<double> rewards;
    for (size_t& i : learned) {
      i += first;
      rewards.push_back(replies.rewards[i]);
    }
    const std::vector<double> advantages = GroupAdvantages(rewards, count);
    for (size_t k = 0; k < learned.size(); ++k) replies.advantages[learned[k]] = advantages[k];
  }
}

std::vector<PolicyGroup> RlTask::Groups(const Replies& replies) const {
  std::vector<PolicyGroup> groups;
  groups.reserve(replies.vectors.size());
  for (size_t g = 0; g < replies.vectors.size(); ++g) {
    PolicyGroup group{.activation = replies.vectors[g], .replies = {}};
    for (const size_t i : replies.learned[g]) {
      group.replies.push_back({replies.samples[i].ids, replies.samples[i].logprobs, replies.advantages[i]});
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

RlTask::Outcomes RlTask::Gather(const Replies& replies) const {
  const auto number = [](const std::optional<double>& value) {
    return value.value_or(std::numeric_limits<double>::quiet_NaN());
  };
  const size_t count = replies.samples.size();
  const size_t first = count * static_cast<size_t>(ranks_->rank());
  const auto gather = [&](auto&& value) {
    std::vector<double> all(count * static_cast<size_t>(ranks_->size()));
    for (size_t i = 0; i < count; ++i) all[first + i] = value(i);
    ranks_->Sum(all);  // the others have zeros there
    return all;
  };
  return {.rewards = gather([&](size_t i) { return replies.rewards[i]; }),
          .mse = gather([&](size_t i) { return number(replies.mse[i]); }),
          .mse_others = gather([&](size_t i) { return number(replies.mse_others[i]); }),
          .tokens = gather([&](size_t i) { return static_cast<double>(replies.samples[i].ids.size()); })};
}

void RlTask::Train(Replies& replies, nlohmann::ordered_json& figures) {
  const Clock::time_point begin = Clock::now();
  PolicyBatch batch = policy_.Prepare(Groups(replies));
  PolicyLoss loss;
  StepOutcome actor;
  for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
    loss = policy_.Accumulate(batch);
    const StepOutcome outcome = policy_.optimizer().Step(static_cast<double>(replies.samples.size()));
    actor = {outcome.lr, outcome.grad_norm, actor.skipped || outcome.skipped};
    if (epoch == 0) continue;  // the pass that scored the replies was the reconstructor's first
    for (size_t part = 0; part < replies.examples.size(); ++part) {
      BatchLoss again;
      if (!replies.examples[part].empty()) again = reconstructor_.Accumulate(replies.examples[part]);
      StepCritic(part, again, replies);
    }
  }
  replies.seconds.train = SecondsSince(begin);
  // Every rank has as many replies as the others.
  for (double* const mean : {&loss.policy, &loss.kl, &loss.clipped, &loss.entropy, &loss.rollout_gap}) {
    ranks_->Sum({mean, 1});
    *mean /= ranks_->size();
  }
  std::array<double, 2> critic_sums = {replies.critic_loss * replies.critic_weight, replies.critic_weight};
  ranks_->Sum(critic_sums);
  figures["policy_loss"] = loss.policy;
  if (model_.reference) figures["kl"] = loss.kl;
  figures["clip_fraction"] = loss.clipped;
  figures["entropy"] = loss.entropy;
  figures["rollout_gap"] = loss.rollout_gap;
  figures["av_lr"] = actor.lr;
  figures["av_grad_norm"] = actor.grad_norm;
  figures["av_skipped"] = actor.skipped;
  if (critic_sums[1] > 0) {  // it learned from some
    figures["ar_loss"] = ranks_->size() == 1 ? replies.critic_loss : critic_sums[0] / critic_sums[1];
    figures["ar_lr"] = replies.critic.lr;
    figures["ar_grad_norm"] = replies.critic.grad_norm;
    figures["ar_skipped"] = replies.critic.skipped;
  }
}

nlohmann::ordered_json RlTask::RewardFigures(const Outcomes& outcomes) const {
  const auto present = [](const std::vector<double>& values) {
    std::vector<double> found;
    std::copy_if(values.begin(), values.end(), std::back_inserter(found), [](double x) { return !std::isnan(x); });
    return found;
  };
  const std::vector<double> own = present(outcomes.mse);
  const std::vector<double> others = present(outcomes.mse_others);
  std::vector<double> best;
  std::vector<double> spread;
  const auto group = options_.samples;
  for (auto begin = outcomes.rewards.begin(); begin != outcomes.rewards.end(); begin += group) {
    const std::vector<double> rewards(begin, begin + group);
    const double mean = Mean(rewards);
    double squares = 0;
    for (const double reward : rewards) squares += (reward - mean) * (reward - mean);
    spread.push_back(std::sqrt(squares / static_cast<double>(group - 1)));
    best.push_back(*std::max_element(rewards.begin(), rewards.end()));
  }
  nlohmann::ordered_json figures = {
      {"reward", Mean(outcomes.rewards)},
      {"reward_best", Mean(best)},
      {"reward_spread", Mean(spread)},
      {"extraction_rate", static_cast<double>(own.size()) / static_cast<double>(outcomes.rewards.size())},
      {"tokens_mean", Mean(outcomes.tokens)}};
  if (!own.empty()) figures["mse"] = Mean(own);
  if (!others.empty()) figures["mse_other_vector"] = Mean(others);
  return figures;
}

std::vector<nlohmann::ordered_json> RlTask::Shown(std::span<const ActivationRow> rows, const Replies& replies) const {
  std::vector<nlohmann::ordered_json> shown;
  const auto group = static_cast<size_t>(replies.group);
  for (size_t i = 0; i < std::min(kShownGroups, replies.vectors.size()) * group; ++i) {
    const ActivationRow& row = rows[i / group];
    shown.push_back({{"doc_id", row.doc_id},
                     {"n_raw_tokens", row.n_raw_tokens},
                     {"text", row.text.substr(LastBytesOffset(row.text, kShownText))},
                     {"reply", replies.samples[i].text},
                     {"failed", replies.readings[i].failed()},
                     {"reward", replies.rewards[i]},
                     {"advantage", replies.advantages[i]}});
  }
  return shown;
}

void RlTask::Begin(int64_t step) { rollout_->WeightsChanged(step); }

RlStep RlTask::Step(std::span<const ActivationRow> rows, int64_t step) {
  CheckRows(rows);
  Replies replies = Draw(rows, step);
  ScoreReplies(replies);
  RlStep result;
  const Outcomes outcomes = Gather(replies);
  result.figures = RewardFigures(outcomes);
  Train(replies, result.figures);
  const Clock::time_point trained = Clock::now();
  rollout_->WeightsChanged(step);
  const double sync = SecondsSince(trained);
  if (ranks_->writes()) result.rollouts = Shown(rows, replies);  // of the first rows, which are its own
  for (const double tokens : outcomes.tokens) result.tokens += static_cast<int64_t>(tokens);
  result.skipped = result.figures.value("av_skipped", false) || result.figures.value("ar_skipped", false);
  result.figures["rollout_seconds"] = replies.seconds.rollout;
  result.figures["score_seconds"] = replies.seconds.score;
  result.figures["train_seconds"] = replies.seconds.train;
  result.figures["sync_seconds"] = sync;
  return result;
}

}  // namespace nla
