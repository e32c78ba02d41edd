// From replies to rewards: the explanation in a reply, the prompt that the reconstructor reads, the reward of an error.
// The reconstructor's forward pass is ar_trainer.h's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "train/grpo/options.h"
#include "train/grpo/pair_model.h"
#include "train/grpo/rollout.h"

namespace nla {

// What the reconstructor gets of a reply.
struct Reading {
  std::optional<std::string> explanation;  // nullopt: not both tags
  std::vector<TokenId> prompt;             // empty: the reply has failed
  bool failed() const { return prompt.empty(); }
};

// Borrows the model.
class Scorer {
 public:
  Scorer(const PairModel& model, const RewardOptions& options) : model_(model), options_(options) {}

  // Failed: without both tags, cut at its length even with them, or an explanation that makes no prompt for the
  // reconstructor (too long, or merging with the template's end).
  Reading Read(const Sample& sample) const;
  // The reconstructor's prompt for a text; empty when it makes none.
  std::vector<TokenId> PromptFor(const std::string& explanation) const;

  // `mse` of the sample's reconstruction at norm sqrt(d); nullopt for a failed one. The guards are taken off.
  double Reward(const Sample& sample, const std::optional<double>& mse) const;

 private:
  const PairModel& model_;
  RewardOptions options_;
};

// Share of an id sequence's trigrams that stood in it before; 0 without trigrams.
double RepeatedTrigrams(std::span<const TokenId> ids);

}  // namespace nla
