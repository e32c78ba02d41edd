// Reading and rewarding of replies.
#include "train/grpo/scoring.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/fail.h"

namespace nla {
namespace {

// The error of a direction that has nothing to do with the activation's (wire.md section 4).
constexpr double kFailedMse = 2;
// An error of 0 has no logarithm.
constexpr double kSmallestMse = 1e-6;

}  // namespace

Reading Scorer::Read(const Sample& sample) const {
  Reading reading{.explanation = ExtractExplanation(sample.text), .prompt = {}};
  if (reading.explanation && sample.stopped) reading.prompt = PromptFor(*reading.explanation);
  return reading;
}

std::vector<TokenId> Scorer::PromptFor(const std::string& explanation) const {
  std::vector<TokenId> ids;
  try {
    ids = CriticPromptIds(model_.critic.tokenizer,
                          FillCriticTemplate(model_.critic.sidecar.critic_template, explanation), model_.critic_suffix);
  } catch (const Error&) {
    return {};
  }
  if (static_cast<int64_t>(ids.size()) > model_.critic.decoder.spec().max_positions) ids.clear();
  return ids;
}

double Scorer::Reward(const Sample& sample, const std::optional<double>& mse) const {
  const double error = mse.value_or(kFailedMse);
  double reward = options_.kind == "log_mse" ? -std::log(std::max(error, kSmallestMse)) : -error;
  const int64_t beyond = static_cast<int64_t>(sample.ids.size()) - options_.length_limit;
  if (options_.length_limit > 0 && beyond > 0) reward -= options_.length_penalty * static_cast<double>(beyond);
  if (options_.repetition_penalty > 0) reward -= options_.repetition_penalty * RepeatedTrigrams(sample.ids);
  return reward;
}

double RepeatedTrigrams(std::span<const TokenId> ids) {
  if (ids.size() < 3) return 0;
  std::set<std::array<TokenId, 3>> seen;
  int64_t repeated = 0;
  for (size_t i = 0; i + 3 <= ids.size(); ++i) {
    if (!seen.insert({ids[i], ids[i + 1], ids[i + 2]}).second) ++repeated;
  }
  return static_cast<double>(repeated) / static_cast<double>(ids.size() - 2);
}

}  // namespace nla
