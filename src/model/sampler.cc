// Sampling by one pass for the normaliser and one for the draw; top-k and top-p look only at candidates near the
// maximum.
#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/ops/rows.h"

namespace nla {
namespace {

// Indices of the tokens that top-k and top-p leave, most probable first. `weights` are unnormalised with sum `total`.
std::vector<int64_t> Nucleus(std::span<const float> weights, double total, const SamplingOptions& options) {
  std::vector<int64_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  const auto more_probable = [&](int64_t a, int64_t b) {
    return weights[a] != weights[b] ? weights[a] > weights[b] : a < b;
  };
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

}  // namespace

SampledToken SampleToken(std::span<float> logits, const SamplingOptions& options, CounterRandom& random) {
  const bool greedy = options.temperature < 1e-6;
  const float scale = greedy ? 1.0F : static_cast<float>(1.0 / options.temperature);
  const auto size = static_cast<int64_t>(logits.size());
  const int64_t best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  const float largest = logits[best];
  float* weights = logits.data();
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; ++i) {
    weights[i] = ops::Exp((weights[i] - largest) * scale);
    sum += weights[i];
  }
  const auto token = [&](int64_t index) {
    return SampledToken{static_cast<TokenId>(index), std::log(std::max(weights[index] / sum, 1e-38F))};
  };
  if (greedy) return token(best);
  if (options.top_p < 1.0 || options.top_k > 0) {
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

}  // namespace nla
