// Text to explained and scored tokens.
#include "nla/explainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "base/fail.h"

namespace nla {
namespace {

std::vector<int64_t> Positions(const std::vector<int64_t>& wanted, int64_t count) {
  std::vector<int64_t> positions = wanted;
  if (positions.empty()) {
    positions.resize(count);
    std::iota(positions.begin(), positions.end(), 0);
  }
  for (int64_t& position : positions) {
    const int64_t given = position;
    if (position < 0) position += count;
    if (position < 0 || position >= count) {
      FailUsage({.where = "--tokens",
                 .what = "no such token",
                 .found = std::to_string(given),
                 .wanted = fmt::format("0 to {} (the text has {} tokens)", count - 1, count)});
    }
  }
  return positions;
}

}  // namespace

Explainer::Explainer(PairLocation pair, Tokenizer tokenizer, Decoder base, Verbalizer verbalizer,
                     Reconstructor reconstructor)
    : pair_(std::move(pair)),
      tokenizer_(std::move(tokenizer)),
      base_(std::move(base)),
      verbalizer_(std::move(verbalizer)),
      reconstructor_(std::move(reconstructor)) {}

Explainer Explainer::Load(const PairLocation& pair, at::ScalarType compute, std::optional<packed::Format> packing) {
  const DecoderOptions cut{.compute = compute, .blocks = pair.manifest.layer + 1, .with_head = false};
  // All of it where the verbalizer's adapters lie over it; sides that are adapters share its memory.
  const DecoderOptions whole{.compute = compute};
  LanguageModel base =
      LanguageModel::Load(RequireBase(pair, "explaining a text"), HasAdapters(pair.actor) ? whole : cut);
  RoleSource actor = pair.Actor(compute);
  RoleSource critic = pair.Critic(compute);
  actor.loaded_base = critic.loaded_base = &base.decoder;
  actor.packing = packing;
  Verbalizer verbalizer = Verbalizer::Load(actor);
  Reconstructor reconstructor = Reconstructor::Load(critic);
  return {pair, std::move(base.tokenizer), base.decoder.Share(cut), std::move(verbalizer), std::move(reconstructor)};
}

std::vector<float> Explainer::Activations(const std::vector<TokenId>& ids,
                                          const std::vector<int64_t>& positions) const {
  const at::NoGradGuard no_grad;
  const PackedBatch batch{0, {static_cast<int64_t>(ids.size())}};
  const at::Tensor hidden_TD = base_.Forward(base_.Embed(ids), batch);
  const at::Tensor chosen_RD = hidden_TD.index_select(0, at::tensor(positions, at::kLong));
  const float* values = chosen_RD.const_data_ptr<float>();
  return {values, values + chosen_RD.numel()};
}

std::vector<TokenExplanation> Explainer::Explain(const std::string& text, const ExplainOptions& options) const {
  const std::vector<TokenId> ids =
      tokenizer_.Encode(text, {.add_special = true, .parse_special = options.parse_special});
  if (ids.empty()) FailUsage({.where = "text", .what = "is empty", .wanted = "at least one token"});
  const std::vector<int64_t> positions = Positions(options.tokens, static_cast<int64_t>(ids.size()));
  const std::vector<float> activations = Activations(ids, positions);
  const std::vector<Verbalization> replies = verbalizer_.Run(activations, options.verbalize);
  std::vector<std::string> explanations;
  explanations.reserve(replies.size());
  for (const Verbalization& reply : replies) explanations.push_back(reply.explanation.value_or(""));
  const std::vector<float> vectors = reconstructor_.Run(explanations);
  const int64_t d = verbalizer_.d_model();
  std::vector<TokenExplanation> result;
  for (size_t i = 0; i < replies.size(); ++i) {
    const size_t row = i / options.verbalize.samples;
    const std::span<const float> gold(activations.data() + row * d, d);
    const std::span<const float> predicted(vectors.data() + i * d, d);
    TokenExplanation one;
    one.index = positions[row];
    one.id = ids[one.index];
    one.token = tokenizer_.Decode(std::span(&one.id, 1), /*skip_special=*/false);
    one.ok = replies[i].explanation.has_value();
    one.explanation = one.ok ? *replies[i].explanation : replies[i].raw;
    one.norm = std::sqrt(std::inner_product(gold.begin(), gold.end(), gold.begin(), 0.0));
    one.cosine = Cosine(predicted, gold);
    one.mse = DirectionMse(predicted, gold);
    if (pair_.manifest.baselines) {
      one.fve_raw_variance = 1 - one.mse / pair_.manifest.baselines->raw_variance;
      one.fve_mean_norm = 1 - one.mse / pair_.manifest.baselines->mean_norm;
    }
    result.push_back(std::move(one));
  }
  return result;
}

}  // namespace nla
