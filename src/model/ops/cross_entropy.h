// Cross-entropy and token log-probabilities straight from hidden rows: the vocabulary projection runs in row chunks and
// its logits never exist whole.
#pragma once

#include <ATen/core/Tensor.h>

namespace nla::ops {

// SUM over rows of −log p(target), fp32 scalar; differentiable by both tensors. normed_RD and head_VD share the compute
// dtype; targets_R is int64. The gradient is computed in the forward pass and only scaled in the backward.
at::Tensor SumCrossEntropy(const at::Tensor& normed_RD, const at::Tensor& head_VD, const at::Tensor& targets_R);

// log p(target) of each row, fp32 [R]; no gradient.
at::Tensor TargetLogprobs(const at::Tensor& normed_RD, const at::Tensor& head_VD, const at::Tensor& targets_R);

struct TokenScores {
  at::Tensor logprobs_R;   // log p(target), fp32; differentiable by both tensors
  at::Tensor entropies_R;  // of the distributions, fp32, in nats; no gradient
};

// Of every row's distribution softmax(logits / temperature). The gradient by the head computes the logits a second
// time.
TokenScores ScoreTokens(const at::Tensor& normed_RD, const at::Tensor& head_VD, const at::Tensor& targets_R,
                        double temperature);

}  // namespace nla::ops
