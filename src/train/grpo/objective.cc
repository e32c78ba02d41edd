// The objective's arithmetic.
#include "train/grpo/objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/maximum.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "base/fail.h"

namespace nla {
namespace {

constexpr double kSmallestSpread = 1e-6;

at::Tensor KlTerm(const at::Tensor& difference, const std::string& kind) {
  if (kind == "k1") return difference;
  if (kind == "k2") return difference.square() / 2;
  NLA_CHECK(kind == "k3");
  return at::exp(-difference) - 1 + difference;
}

}  // namespace

FieldList Fields(ObjectiveOptions& o) {
  return {{"clip.low", &o.clip_low, "the ratio of new to old probability is clipped below 1 - this"},
          {"clip.high", &o.clip_high, "and above 1 + this"},
          {"kl.kind", &o.kl_kind, "estimator of the KL to the starting policy: k1, k2 or k3"},
          {"kl.coef", &o.kl_coef, "its weight in the loss"},
          {"importance.on", &o.importance, "weigh tokens by exp(logp_old - logp_rollout)"},
          {"importance.cap", &o.importance_cap, "largest such weight"}};
}

void CheckOptions(const ObjectiveOptions& o) {
  CheckField("clip.low", o.clip_low > 0 && o.clip_low < 1, o.clip_low, "a number between 0 and 1");
  CheckField("clip.high", o.clip_high > 0, o.clip_high, "a number above 0");
  if (o.kl_kind != "k1" && o.kl_kind != "k2" && o.kl_kind != "k3") {
    FailUsage({.where = "kl.kind", .found = o.kl_kind, .wanted = "k1, k2 or k3"});
  }
  CheckField("kl.coef", o.kl_coef >= 0, o.kl_coef, "0 or more");
  CheckField("importance.cap", o.importance_cap > 0, o.importance_cap, "a number above 0");
}

std::vector<double> GroupAdvantages(std::span<const double> rewards, int64_t group) {
  NLA_CHECK(group >= 2 && static_cast<int64_t>(rewards.size()) % group == 0);
  const auto count = static_cast<double>(group);
  std::vector<double> advantages;
  advantages.reserve(rewards.size());
  for (size_t begin = 0; begin < rewards.size(); begin += group) {
    const std::span<const double> own = rewards.subspan(begin, group);
    double mean = 0;
    for (const double reward : own) mean += reward / count;
    double squares = 0;
    for (const double reward : own) squares += (reward - mean) * (reward - mean);
    const double spread = std::sqrt(squares / (count - 1));
    for (const double reward : own) advantages.push_back((reward - mean) / (spread + kSmallestSpread));
  }
  return advantages;
}

std::vector<size_t> WidestRewards(std::span<const double> rewards, int64_t count) {
  const auto wanted = static_cast<size_t>(count);
  NLA_CHECK(count >= 2 && wanted <= rewards.size());
  std::vector<size_t> order(rewards.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return rewards[a] < rewards[b]; });
  std::vector<size_t> widest;
  double largest = -1;
  for (size_t low = 0; low <= wanted; ++low) {
    std::vector<size_t> chosen(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(low));
    chosen.insert(chosen.end(), order.end() - static_cast<std::ptrdiff_t>(wanted - low), order.end());
    double mean = 0;
    for (const size_t i : chosen) mean += rewards[i] / static_cast<double>(count);
    double squares = 0;
    for (const size_t i : chosen) squares += (rewards[i] - mean) * (rewards[i] - mean);
    if (squares <= largest) continue;
    largest = squares;
    widest = std::move(chosen);
  }
  std::sort(widest.begin(), widest.end());
  return widest;
}

ObjectiveValue Objective(const TokenTerms& terms, const ObjectiveOptions& options) {
  const at::Tensor ratio = at::exp(terms.logprobs - terms.old);
  const at::Tensor free = -ratio * terms.advantages;
  const at::Tensor bounded = -at::clamp(ratio, 1 - options.clip_low, 1 + options.clip_high) * terms.advantages;
  at::Tensor policy = at::maximum(free, bounded);
  if (options.importance) {
    policy = policy * at::clamp(at::exp(terms.old - terms.rollout), 0, options.importance_cap);
  }
  const at::Tensor policy_sum = (policy * terms.weights).sum();
  ObjectiveValue value{.loss = policy_sum};
  if (terms.reference.defined()) {
    const at::Tensor kl = (KlTerm(terms.logprobs - terms.reference, options.kl_kind) * terms.weights).sum();
    value.loss = value.loss + kl * options.kl_coef;
    value.kl = kl.item<double>();
  }
  const at::NoGradGuard no_grad;
  value.policy = policy_sum.item<double>();
  value.clipped = ((bounded > free).to(at::kFloat) * terms.weights).sum().item<double>();
  return value;
}

}  // namespace nla
