// Packing of groups and the pass over them.
#include "train/grpo/policy_trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "base/fail.h"
#include "train/host_tensors.h"
#include "train/packing.h"

namespace nla {
namespace {

// What the decoder reads for a reply: its last id is predicted, never read.
std::vector<TokenId> InputIds(const std::vector<TokenId>& prompt, const PolicyReply& reply) {
  NLA_CHECK(!reply.ids.empty() && reply.ids.size() == reply.rollout_logprobs.size());
  std::vector<TokenId> ids = prompt;
  ids.insert(ids.end(), reply.ids.begin(), reply.ids.end() - 1);
  return ids;
}

double WeightedSum(const at::Tensor& values, const at::Tensor& weights) {
  return (values * weights).sum().item<double>();
}

}  // namespace

PolicyTrainer::PolicyTrainer(Decoder& decoder, const Decoder* reference, const PolicyTrainerOptions& options,
                             const OptimizerOptions& optimizer, int64_t total_steps,
                             std::shared_ptr<Communicator> ranks)
    : decoder_(decoder),
      reference_(reference),
      options_(options),
      optimizer_(TrainedWeights(decoder), optimizer, total_steps, std::move(ranks)) {
  const auto length = static_cast<int64_t>(options.prompt.ids.size());
  NLA_CHECK(options.prompt.site >= 0 && options.prompt.site + 1 < length);
}

PolicyMicroBatch PolicyTrainer::Pack(const PolicyGroup& group, std::span<const size_t> chosen, int64_t replies) const {
  const auto prefix = static_cast<int64_t>(options_.prompt.ids.size()) - 1;
  std::vector<std::vector<TokenId>> ids;
  ids.reserve(chosen.size());
  for (const size_t index : chosen) ids.push_back(InputIds(options_.prompt.ids, group.replies[index]));
  const std::vector<IdSequence> sequences(ids.begin(), ids.end());
  const PackedIds packed = PackSequences(sequences, prefix);
  std::vector<int64_t> predicting;
  std::vector<int64_t> targets;
  std::vector<float> advantages;
  std::vector<float> weights;
  std::vector<float> rollout;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const PolicyReply& reply = group.replies[chosen[i]];
    const double weight = 1.0 / (static_cast<double>(reply.ids.size()) * static_cast<double>(replies));
    for (size_t t = 0; t < reply.ids.size(); ++t) {
      predicting.push_back(packed.RowOf(i, prefix + static_cast<int64_t>(t)));
      targets.push_back(reply.ids[t]);
      advantages.push_back(static_cast<float>(reply.advantage));
      weights.push_back(static_cast<float>(weight));
      rollout.push_back(reply.rollout_logprobs[t]);
    }
  }
  const std::span<const float> vector(group.activation);
  return {.packed = packed.batch,
          .ids_T = IndexTensor(packed.ids),
          .vector_1D = RowsTensor({&vector, 1}),
          .predicting_R = IndexTensor(predicting),
          .targets_R = IndexTensor(targets),
          .terms = {.logprobs = {},
                    .old = {},
                    .reference = {},
                    .rollout = at::tensor(rollout),
                    .advantages = at::tensor(advantages),
                    .weights = at::tensor(weights)},
          .replies = {}};
}

std::vector<PolicyMicroBatch> PolicyTrainer::PackAll(std::span<const PolicyGroup> groups) const {
  const auto prefix = static_cast<int64_t>(options_.prompt.ids.size()) - 1;
  int64_t replies = 0;
  for (const PolicyGroup& group : groups) replies += static_cast<int64_t>(group.replies.size());
  NLA_CHECK(replies > 0);
  std::vector<PolicyMicroBatch> packed;
  for (size_t g = 0; g < groups.size(); ++g) {
    std::vector<std::vector<TokenId>> ids;
    ids.reserve(groups[g].replies.size());
    for (const PolicyReply& reply : groups[g].replies) ids.push_back(InputIds(options_.prompt.ids, reply));
    const std::vector<IdSequence> sequences(ids.begin(), ids.end());
    for (const std::vector<size_t>& chosen : MicroBatches(sequences, prefix, options_.micro_rows)) {
      packed.push_back(Pack(groups[g], chosen, replies));
      for (const size_t index : chosen) packed.back().replies.emplace_back(g, index);
    }
  }
  return packed;
}

ops::TokenScores PolicyTrainer::ScoreWith(const Decoder& decoder, const PolicyMicroBatch& batch) const {
  at::Tensor hidden_TD = decoder.Embed(batch.ids_T);
  hidden_TD = Inject(hidden_TD, batch.vector_1D, at::full({1}, options_.prompt.site, at::kLong), options_.injection);
  hidden_TD = decoder.Forward(std::move(hidden_TD), batch.packed);
  const at::Tensor normed_RD = decoder.FinalNorm(at::index_select(hidden_TD, 0, batch.predicting_R));
  return ops::ScoreTokens(normed_RD, decoder.head(), batch.targets_R, options_.temperature);
}

PolicyBatch PolicyTrainer::Prepare(std::span<const PolicyGroup> groups) const {
  const at::NoGradGuard no_grad;
  PolicyBatch batch{.micro_batches = PackAll(groups)};
  for (PolicyMicroBatch& micro : batch.micro_batches) {
    batch.tokens += micro.targets_R.size(0);
    if (reference_ != nullptr) micro.terms.reference = ScoreWith(*reference_, micro).logprobs_R;
  }
  return batch;
}

PolicyLoss PolicyTrainer::Accumulate(PolicyBatch& batch) {
  PolicyLoss total;
  for (PolicyMicroBatch& micro : batch.micro_batches) {
    const ops::TokenScores scores = ScoreWith(decoder_, micro);
    TokenTerms& terms = micro.terms;
    if (!terms.old.defined()) terms.old = scores.logprobs_R.detach();
    terms.logprobs = scores.logprobs_R;
    const ObjectiveValue value = Objective(terms, options_.objective);
    terms.logprobs = at::Tensor();
    value.loss.backward();
    optimizer_.CollectGradients();
    total.loss += value.loss.item<double>();
    total.policy += value.policy;
    total.kl += value.kl;
    total.clipped += value.clipped;
    total.entropy += WeightedSum(scores.entropies_R, terms.weights);
    total.rollout_gap += WeightedSum((terms.old - terms.rollout).abs(), terms.weights);
  }
  return total;
}

std::vector<std::vector<std::vector<float>>> PolicyTrainer::Logprobs(std::span<const PolicyGroup> groups) const {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<std::vector<float>>> all(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) all[g].resize(groups[g].replies.size());
  for (const PolicyMicroBatch& micro : PackAll(groups)) {
    const at::Tensor logprobs = ScoreWith(decoder_, micro).logprobs_R;
    const float* next = logprobs.const_data_ptr<float>();
    for (const auto& [g, index] : micro.replies) {
      const size_t count = groups[g].replies[index].ids.size();
      all[g][index].assign(next, next + count);
      next += count;
    }
  }
  return all;
}

}  // namespace nla
