// Texts in packed batches, without a gradient.
#include "eval/perplexity.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <cmath>

#include "base/interrupt.h"
#include "model/ops/cross_entropy.h"

namespace nla {
namespace {

constexpr int64_t kBatchTokens = 2048;

}  // namespace

std::optional<double> Perplexity(const LanguageModel& model, std::span<const std::string> texts) {
  const at::NoGradGuard no_grad;
  const auto longest = static_cast<size_t>(model.decoder.spec().max_positions);
  double surprise = 0;
  int64_t counted = 0;
  for (size_t next = 0; next < texts.size();) {
    ThrowIfInterrupted();
    PackedBatch batch;
    std::vector<TokenId> ids;
    std::vector<int64_t> rows;  // that foresee the next token
    std::vector<int64_t> targets;
    for (; next < texts.size() && static_cast<int64_t>(ids.size()) < kBatchTokens; ++next) {
      std::vector<TokenId> text = model.tokenizer.Encode(texts[next]);
      if (text.size() > longest) text.resize(longest);
      if (text.size() < 2) continue;
      for (size_t i = 0; i + 1 < text.size(); ++i) {
        rows.push_back(static_cast<int64_t>(ids.size() + i));
        targets.push_back(text[i + 1]);
      }
      ids.insert(ids.end(), text.begin(), text.end());
      batch.lengths.push_back(static_cast<int64_t>(text.size()));
    }
    if (ids.empty()) continue;
    const at::Tensor hidden_TD = model.decoder.Forward(model.decoder.Embed(ids), batch);
    const at::Tensor normed_RD = model.decoder.FinalNorm(hidden_TD.index_select(0, at::tensor(rows, at::kLong)));
    const at::Tensor logprobs_R = ops::TargetLogprobs(normed_RD, model.decoder.head(), at::tensor(targets, at::kLong));
    surprise -= logprobs_R.sum(at::kDouble).item<double>();
    counted += static_cast<int64_t>(rows.size());
  }
  if (counted == 0) return std::nullopt;
  return std::exp(surprise / static_cast<double>(counted));
}

}  // namespace nla
