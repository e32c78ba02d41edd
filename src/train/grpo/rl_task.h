// One step of reinforcement learning and one evaluation, as lines of metrics.jsonl. The run around them is run.h's.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "data/activation_row.h"
#include "train/ar_trainer.h"
#include "train/collectives/communicator.h"
#include "train/grpo/pair_model.h"
#include "train/grpo/policy_trainer.h"
#include "train/grpo/rollout.h"
#include "train/grpo/scoring.h"

namespace nla {

struct RlStep {
  nlohmann::ordered_json figures;                // of the step, for its line
  std::vector<nlohmann::ordered_json> rollouts;  // some replies with their rewards
  int64_t tokens = 0;                            // of the replies
  bool skipped = false;                          // an update of either side was
};

// Borrows the model. Not thread-safe. Among several ranks each draws, scores and trains on its share of the rows; what
// comes out is of all of them, and what one process would have done with other roundings.
class RlTask {
 public:
  RlTask(PairModel& model, const RlOptions& options, std::shared_ptr<Communicator> ranks = JoinedProcesses());

  // To be called before all else, once the weights are those that the run goes on with after `step`. Collective.
  void Begin(int64_t step);
  // Checks that hold before the first step or refuse the run (preflight.h): some training rows, and the held-out ones,
  // whose labels are used where they have any. Returns what was measured.
  nlohmann::ordered_json Preflight(std::span<const ActivationRow> rows, std::span<const ActivationRow> heldout);
  // `step` is 1-based; with the seed it says how the replies are drawn. Collective.
  RlStep Step(std::span<const ActivationRow> rows, int64_t step);
  // Both FVEs of greedy replies, floors, and what the stop rules look at.
  nlohmann::ordered_json Evaluate(std::span<const ActivationRow> heldout);

  Optimizer& actor() { return policy_.optimizer(); }
  Optimizer& critic() { return reconstructor_.optimizer(); }

 private:
  struct Replies;
  struct Outcomes;
  struct Seconds {
    double rollout = 0, score = 0, train = 0;
  };

  Replies Draw(std::span<const ActivationRow> rows, int64_t step);
  void ScoreReplies(Replies& replies);
  void ScorePart(size_t part, Replies& replies);
  void StepCritic(size_t part, const BatchLoss& batch, Replies& replies);
  static void ChooseLearned(int64_t count, Replies& replies);
  Outcomes Gather(const Replies& replies) const;
  std::vector<PolicyGroup> Groups(const Replies& replies) const;
  void Train(Replies& replies, nlohmann::ordered_json& figures);
  nlohmann::ordered_json RewardFigures(const Outcomes& outcomes) const;
  std::vector<nlohmann::ordered_json> Shown(std::span<const ActivationRow> rows, const Replies& replies) const;
  void CheckRows(std::span<const ActivationRow> rows) const;
  std::vector<float> Reconstruct(const std::vector<std::string>& explanations) const;

  PairModel& model_;
  RlOptions options_;
  std::shared_ptr<Communicator> ranks_;
  Scorer scorer_;
  PolicyTrainer policy_;
  std::unique_ptr<Rollout> rollout_;  // writes the weights that policy_ holds
  ArTrainer reconstructor_;
};

}  // namespace nla
