// Sampling by one pass for the normaliser and one for the draw; top-k, top-p and min-p look only at candidates near the
// maximum.
#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "model/ops/rows.h"

namespace nla {
namespace {

// Orders indices by falling weight, equal ones by index.
auto MoreProbable(std::span<const float> weights) {
  return [weights](int64_t a, int64_t b) { return weights[a] != weights[b] ? weights[a] > weights[b] : a < b; };
}

// Indices whose weight is at least `least`, in order.
std::vector<int64_t> NotBelow(std::span<const float> weights, float least) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < static_cast<int64_t>(weights.size()); ++i) {
    if (weights[i] >= least) indices.push_back(i);
  }
  return indices;
}

// Indices of the tokens that top-k, top-p and min-p leave, most probable first. `weights` are unnormalised, the largest
// is 1, `total` is their sum.
std::vector<int64_t> Nucleus(std::span<const float> weights, double total, const SamplingOptions& options) {
  std::vector<int64_t> order = NotBelow(weights, static_cast<float>(options.min_p));
  const auto more_probable = MoreProbable(weights);
  const auto size = static_cast<int64_t>(order.size());
  const int64_t limit = options.top_k > 0 ? std::min(options.top_k, size) : size;
  // Sorts ever larger heads until the wanted mass is inside.
  for (int64_t head = std::min<int64_t>(limit, 64);; head = std::min(limit, head * 8)) {
    std::partial_sort(order.begin(), order.begin() + head, order.end(), more_probable);
    double mass = 0;
    for (int64_t i = 0; i < head; ++i) {
      mass += weights[order[i]];
      if (mass >= options.top_p * total) {
        order.resize(i + 1);
        return order;
      }
    }
    if (head == limit) {
      order.resize(limit);
      return order;
    }
  }
}

struct Weighed {
  int64_t best = 0;  // the most probable
  float sum = 0;
};

// Logits become unnormalised probabilities, the largest of them 1.
Weighed Weigh(std::span<float> logits, float scale) {
  const auto size = static_cast<int64_t>(logits.size());
  float* weights = logits.data();
  float largest = weights[0];
#pragma omp simd reduction(max : largest)
  for (int64_t i = 1; i < size; ++i) largest = std::max(largest, weights[i]);
  const auto found = std::find(logits.begin(), logits.end(), largest);
  const int64_t best = found == logits.end() ? 0 : found - logits.begin();  // not found: all NaN
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; ++i) {
    weights[i] = ops::Exp((weights[i] - largest) * scale);
    sum += weights[i];
  }
  return {best, sum};
}

float LogShare(float weight, float sum) { return std::log(std::max(weight / sum, 1e-38F)); }

}  // namespace

void ApplyPenalties(std::span<float> logits, const SamplingOptions& options, const TokenCounts& counts,
                    int64_t reply_tokens) {
  const auto repetition = static_cast<float>(options.repetition_penalty);
  for (const auto& [id, count] : counts) {
    float& logit = logits[id];
    logit = logit > 0 ? logit / repetition : logit * repetition;
    if (count > 0) {
      logit -= static_cast<float>(options.frequency_penalty * static_cast<double>(count) + options.presence_penalty);
    }
  }
  if (reply_tokens >= options.min_new_tokens) return;
  for (const TokenId id : options.stop_ids) logits[id] = -std::numeric_limits<float>::infinity();
}

SampledToken SampleToken(std::span<float> logits, const SamplingOptions& options, CounterRandom& random) {
  const bool greedy = options.temperature < 1e-6;
  const float scale = greedy ? 1.0F : static_cast<float>(1.0 / options.temperature);
  const auto [best, sum] = Weigh(logits, scale);
  const auto size = static_cast<int64_t>(logits.size());
  const float* weights = logits.data();
  const auto token = [weights, total = sum](int64_t index) {
    return SampledToken{static_cast<TokenId>(index), LogShare(weights[index], total)};
  };
  if (greedy) return token(best);
  if (options.top_p < 1.0 || options.top_k > 0 || options.min_p > 0) {
    const std::vector<int64_t> kept = Nucleus(logits, sum, options);
    double mass = 0;
    for (const int64_t index : kept) mass += weights[index];
    double draw = random.Uniform() * mass;
    for (const int64_t index : kept) {
      draw -= weights[index];
      if (draw < 0) return token(index);
    }
    return token(kept.back());
  }
  // The sum and the running total below add up in different orders, so the end may be missed by rounding: then the last
  // token with any weight is taken.
  double draw = static_cast<double>(random.Uniform()) * sum;
  int64_t last = best;
  for (int64_t i = 0; i < size; ++i) {
    if (weights[i] <= 0) continue;
    last = i;
    draw -= weights[i];
    if (draw < 0) break;
  }
  return token(last);
}

float LogprobOf(std::span<float> logits, TokenId id) {
  const float sum = Weigh(logits, 1).sum;
  return LogShare(logits[id], sum);
}

std::vector<std::pair<TokenId, float>> TopTokens(std::span<const float> weights, int64_t count) {
  std::vector<int64_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  count = std::min(count, static_cast<int64_t>(order.size()));
  std::partial_sort(order.begin(), order.begin() + count, order.end(), MoreProbable(weights));
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::pair<TokenId, float>> top;
  for (int64_t i = 0; i < count; ++i) {
    const double share = std::max(weights[order[i]] / total, 1e-38);
    top.emplace_back(static_cast<TokenId>(order[i]), static_cast<float>(std::log(share)));
  }
  return top;
}

}  // namespace nla
