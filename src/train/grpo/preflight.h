// What must hold before the first step: the engine and the trainer mean the same probabilities, the injected vector
// matters, the reward rewards what it should. Each check that fails ends the run with what was found.
#pragma once

#include <nlohmann/json.hpp>
#include <span>

#include "data/activation_row.h"
#include "train/ar_trainer.h"
#include "train/grpo/pair_model.h"
#include "train/grpo/policy_trainer.h"
#include "train/grpo/rollout.h"
#include "train/grpo/scoring.h"

namespace nla {

struct PreflightInput {
  const PairModel& model;
  const RlOptions& options;
  Rollout& rollout;
  const PolicyTrainer& policy;
  const ArTrainer& reconstructor;
  const Scorer& scorer;
  std::span<const ActivationRow> rows;     // two or more
  std::span<const ActivationRow> heldout;  // those with an explanation are the labels
};

// Returns the figures of all checks. Nothing of the model is changed.
nlohmann::ordered_json RunPreflight(const PreflightInput& input);

}  // namespace nla
