// Activations to prompts, and replies to explanations; the requests are remote_generator.h's.
#include "client/remote_verbalizer.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "engine/reply_seed.h"
#include "nla/prompt.h"

namespace nla {
namespace {

void CheckRows(std::span<const float> activations, int64_t d) {
  for (size_t i = 0; i < activations.size(); ++i) {
    if (std::isfinite(activations[i])) continue;
    Fail({.where = fmt::format("activation {}", static_cast<int64_t>(i) / d),
          .what = "holds NaN or Inf",
          .wanted = "finite numbers"});
  }
}

Verbalization FromReply(RemoteReply reply, const Tokenizer& tokenizer) {
  Verbalization out;
  out.raw = tokenizer.Decode(reply.ids, /*skip_special=*/false);
  out.explanation = ExtractExplanation(out.raw);
  out.finish_reason = reply.finish;
  for (const double logprob : reply.logprobs) out.logprob += logprob;
  out.ids = std::move(reply.ids);
  return out;
}

}  // namespace

RemoteVerbalizer::RemoteVerbalizer(ActorInputs inputs, const RemoteOptions& options)
    : inputs_(std::move(inputs)),
      generator_(options, {.d_model = inputs_.d_model(),
                           .largest_norm = inputs_.sidecar().injection_scale.Resolve(inputs_.d_model()),
                           .stop_ids = inputs_.StopIds()}) {
  const ServerFacts& facts = generator_.server();
  const std::string& own = inputs_.sidecar().weights_hash;
  if (!own.empty() && !facts.weights_hash.empty() && own != facts.weights_hash) {
    spdlog::warn("{}: its verbalizer's weights are not those of this one ({}… instead of {}…): merged, or another step",
                 generator_.address().url, facts.weights_hash.substr(0, 16), own.substr(0, 16));
  }
}

void RemoteVerbalizer::Run(std::span<const float> activations, const VerbalizeOptions& options, const Skip& skip,
                           const std::function<void(Verbalization)>& done) const {
  const int64_t d = inputs_.d_model();
  NLA_CHECK(static_cast<int64_t>(activations.size()) % d == 0 && options.samples > 0);
  CheckRows(activations, d);
  const int64_t count = static_cast<int64_t>(activations.size()) / d * options.samples;
  SamplingOptions sampling = options.sampling;
  const std::vector<TokenId> stop_ids = inputs_.StopIds();
  sampling.stop_ids.insert(sampling.stop_ids.end(), stop_ids.begin(), stop_ids.end());
  const auto prompt = [&](int64_t i) -> std::optional<RemoteGenerator::Prompt> {
    const int64_t row = i / options.samples;
    const int64_t sample = i % options.samples;
    if (skip && skip(row, sample)) return std::nullopt;
    return RemoteGenerator::Prompt{inputs_.PromptRows(activations.subspan(static_cast<size_t>(row * d), d)), sampling,
                                   ReplySeed(options.seed, options.first_row + row, sample)};
  };
  generator_.Run(count, prompt, [&](int64_t i, RemoteReply reply) {
    Verbalization one = FromReply(std::move(reply), inputs_.tokenizer());
    one.index = i / options.samples;
    one.sample = i % options.samples;
    done(std::move(one));
  });
}

std::vector<Verbalization> RemoteVerbalizer::Run(std::span<const float> activations,
                                                 const VerbalizeOptions& options) const {
  std::vector<Verbalization> all(activations.size() / static_cast<size_t>(inputs_.d_model()) *
                                 static_cast<size_t>(options.samples));
  Run(activations, options, nullptr, [&](Verbalization one) {
    const int64_t place = one.index * options.samples + one.sample;
    all[static_cast<size_t>(place)] = std::move(one);
  });
  return all;
}

}  // namespace nla
