// The held-out evaluation of an RL task: `nla report`'s figures without intervals, and what the stop rules look at.
#include "nla/metrics.h"
#include "nla/rewording.h"
#include "train/grpo/rl_task.h"
#include "train/grpo/stop_rules.h"

namespace nla {
namespace {

constexpr int kNoIntervals = 1;  // bootstrap rounds

}  // namespace

// Predictions [n, d] for explanations; one that makes no prompt is read as empty.
std::vector<float> RlTask::Reconstruct(const std::vector<std::string>& explanations) const {
  std::vector<ArExample> examples;
  examples.reserve(explanations.size());
  for (const std::string& explanation : explanations) {
    std::vector<TokenId> prompt = scorer_.PromptFor(explanation);
    if (prompt.empty()) prompt = scorer_.PromptFor("");
    examples.push_back({.prompt = std::move(prompt), .activation = {}});
  }
  const at::Tensor predicted_BD = reconstructor_.Predict(examples);
  const float* data = predicted_BD.const_data_ptr<float>();
  return {data, data + predicted_BD.numel()};
}

nlohmann::ordered_json RlTask::Evaluate(std::span<const ActivationRow> heldout) {
  const int64_t d = model_.d_model();
  const auto n = static_cast<int64_t>(heldout.size());
  std::vector<float> gold;
  for (const ActivationRow& row : heldout) gold.insert(gold.end(), row.activation.begin(), row.activation.end());
  const RolloutOptions greedy{.max_new_tokens = options_.max_new_tokens};
  const std::vector<Sample> replies = rollout_->Run(gold, greedy);
  const std::vector<Sample> to_nothing = rollout_->Run(std::vector<float>(static_cast<size_t>(d), 0.0F), greedy);
  double extracted = 0;
  double tokens = 0;
  std::vector<std::string> explanations;
  for (const Sample& reply : replies) {
    const std::optional<std::string> explanation = scorer_.Read(reply).explanation;
    extracted += explanation ? 1 : 0;
    tokens += static_cast<double>(reply.ids.size());
    explanations.push_back(explanation.value_or(""));
  }
  const auto summarize = [&](const std::vector<float>& predicted) {
    return Summarize(predicted, gold, d, 0, kNoIntervals);
  };
  const auto floor = [&](const std::string& text) {
    return summarize(RepeatedRow(Reconstruct({text}), n)).fve_raw_variance;
  };
  const std::vector<float> predicted = Reconstruct(explanations);
  const FveSummary own = summarize(predicted);
  const FveSummary shuffled = summarize(ShuffledRows(predicted, d));
  nlohmann::ordered_json figures = {{"n", n},
                                    {"mse", own.mse},
                                    {"cosine_mean", own.cosine_mean},
                                    {"fve_raw_variance", own.fve_raw_variance},
                                    {"fve_mean_norm", own.fve_mean_norm},
                                    {"floor_shuffled", shuffled.fve_raw_variance},
                                    {"floor_zero", floor(scorer_.Read(to_nothing[0]).explanation.value_or(""))},
                                    {"floor_empty", floor("")},
                                    {"shuffled_gap", shuffled.mse - own.mse},
                                    {"extraction_rate", extracted / static_cast<double>(n)},
                                    {"tokens_mean", tokens / static_cast<double>(n)}};
  if (own.fve_raw_variance > kLeastFve) {
    const auto retention = [&](const std::vector<std::string>& texts) {
      return summarize(Reconstruct(texts)).fve_raw_variance / own.fve_raw_variance;
    };
    const Retellings retold = Retell(explanations);
    figures["truncation_retention"] = retention(retold.beginnings);
    figures["paraphrase_retention"] = retention(retold.paraphrases);
  }
  return figures;
}

}  // namespace nla
