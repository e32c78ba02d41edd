// The verbalizer's objective as tensor arithmetic: group advantages, the clipped ratio, KL to the reference policy,
// truncated importance sampling, the reduction (wire.md section 5). Where log-probabilities come from is
// policy_trainer.h's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"

namespace nla {

struct ObjectiveOptions {
  double clip_low = 0.2;  // the ratio is clipped to [1 - clip_low, 1 + clip_high]
  double clip_high = 0.2;
  std::string kl_kind = "k3";  // with d = logp - logp_ref: k1 = d, k2 = d²/2, k3 = exp(-d) - 1 + d
  double kl_coef = 0.01;
  bool importance = false;  // multiply the policy loss by exp(logp_old - logp_rollout), clamped to [0, importance_cap]
  double importance_cap = 2;
};

// Fields clip.low, clip.high, kl.kind, kl.coef, importance.on, importance.cap.
FieldList Fields(ObjectiveOptions& options);
void CheckOptions(const ObjectiveOptions& options);  // usage errors name the field

// (r - mean) / (std + 1e-6) in each run of `group` consecutive rewards, with the unbiased standard deviation; group
// >= 2.
std::vector<double> GroupAdvantages(std::span<const double> rewards, int64_t group);

// Indices, ascending, of the `count` of a group's rewards that have the largest variance: some of the lowest and the
// rest of the highest ("Not All Rollouts are Useful", 2025, section 3). Of equal rewards the first count as lower. 2 <=
// count <= rewards.size().
std::vector<size_t> WidestRewards(std::span<const double> rewards, int64_t count);

// Numbers of response tokens, all fp32 [T]. Only `logprobs` may want a gradient.
struct TokenTerms {
  at::Tensor logprobs;    // of the policy
  at::Tensor old;         // of the policy that the step began with
  at::Tensor reference;   // of the reference policy; undefined: no KL term
  at::Tensor rollout;     // as the sampler had them; used with `importance` alone
  at::Tensor advantages;  // of the token's sample
  at::Tensor weights;     // 1 / (tokens of its sample · samples of the batch): the mean of the samples' token means
};

struct ObjectiveValue {
  at::Tensor loss;     // fp32 scalar, differentiable by TokenTerms::logprobs
  double policy = 0;   // its two parts; loss = policy + kl_coef · kl
  double kl = 0;       // weighted like the loss
  double clipped = 0;  // sum of weights of tokens whose gradient the clipping took away
};

ObjectiveValue Objective(const TokenTerms& terms, const ObjectiveOptions& options);

}  // namespace nla
