// The verbalizer's training pass on replies: log-probabilities of their tokens under the policy and the reference, the
// objective, gradients. Works on ids; replies and advantages come from rl_task.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/decoder.h"
#include "model/ops/cross_entropy.h"
#include "nla/injection.h"
#include "nla/prompt.h"
#include "train/grpo/objective.h"
#include "train/optimizer.h"

namespace nla {

struct PolicyTrainerOptions {
  ActorPrompt prompt;  // of all replies
  InjectionOptions injection;
  double temperature = 1;  // of the rollout: logits are divided by it
  ObjectiveOptions objective;
  int64_t micro_rows = 2048;  // most packed rows of one forward and backward pass
};

struct PolicyReply {
  std::vector<TokenId> ids;             // not empty
  std::vector<float> rollout_logprobs;  // one for each id
  double advantage = 0;
};

// Replies to one activation.
struct PolicyGroup {
  std::vector<float> activation;  // RAW, [D]
  std::vector<PolicyReply> replies;
};

// Replies of one group, packed: the prompt before its last token once, then for each reply that token and all ids but
// the last.
struct PolicyMicroBatch {
  PackedBatch packed;
  at::Tensor ids_T, vector_1D, predicting_R, targets_R;
  TokenTerms terms;  // logprobs are those of the pass at hand; old ones come from the first pass
  std::vector<std::pair<size_t, size_t>> replies;  // (group, reply), in the order of the rows
};

struct PolicyBatch {
  std::vector<PolicyMicroBatch> micro_batches;
  int64_t tokens = 0;  // of the replies
};

// Means over the batch, weighted as the loss is.
struct PolicyLoss {
  double loss = 0;
  double policy = 0, kl = 0;  // its parts
  double clipped = 0;         // share of tokens whose gradient the clipping took away
  double entropy = 0;         // nats a token
  double rollout_gap = 0;     // |logp_old - logp_rollout|
};

// Trains the decoder's adapters where it has them, else all its weights. Borrows both decoders; not thread-safe.
class PolicyTrainer {
 public:
  // `reference` may be null: there is no KL term then.
  PolicyTrainer(Decoder& decoder, const Decoder* reference, const PolicyTrainerOptions& options,
                const OptimizerOptions& optimizer, int64_t total_steps,
                std::shared_ptr<Communicator> ranks = JoinedProcesses());

  // Packs the replies and asks the reference for their log-probabilities.
  PolicyBatch Prepare(std::span<const PolicyGroup> groups) const;
  // One pass; gradients are left in optimizer(). The first pass over a batch sets its old log-probabilities.
  PolicyLoss Accumulate(PolicyBatch& batch);
  // Log-probabilities of every reply's ids, without gradients: [group][reply][token].
  std::vector<std::vector<std::vector<float>>> Logprobs(std::span<const PolicyGroup> groups) const;

  Optimizer& optimizer() { return optimizer_; }
  const Optimizer& optimizer() const { return optimizer_; }

 private:
  PolicyMicroBatch Pack(const PolicyGroup& group, std::span<const size_t> chosen, int64_t replies) const;
  std::vector<PolicyMicroBatch> PackAll(std::span<const PolicyGroup> groups) const;
  ops::TokenScores ScoreWith(const Decoder& decoder, const PolicyMicroBatch& batch) const;

  Decoder& decoder_;
  const Decoder* reference_;
  PolicyTrainerOptions options_;
  Optimizer optimizer_;
};

}  // namespace nla
