// Verbalization: one request an activation. The engine computes the prompt's beginning, equal in all, once.
#include "nla/verbalizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <fmt/format.h>

#include "base/fail.h"
#include "engine/reply_seed.h"

namespace nla {

Verbalizer Verbalizer::Load(const RoleSource& source) {
  RoleCheckpoint role = LoadRole(source, Role::kActor);
  const std::string where = (source.directory / "nla_meta.yaml").string();
  if (!role.sidecar.tokens)
    Fail({.where = where + ": tokens", .what = "is missing", .wanted = "the marker token's facts"});
  ActorPrompt prompt = BuildActorPrompt(role.tokenizer, role.chat, role.sidecar.actor_template, *role.sidecar.tokens);
  return {std::move(role), std::move(prompt)};
}

at::Tensor Verbalizer::PromptRows(std::span<const float> activation) const {
  const at::NoGradGuard no_grad;
  NLA_CHECK(static_cast<int64_t>(activation.size()) == d_model());
  const at::Tensor vector_1D = at::from_blob(const_cast<float*>(activation.data()), {1, d_model()}, at::kFloat);
  return Inject(role_.decoder.Embed(prompt_.ids), vector_1D, at::full({1}, prompt_.site, at::kLong),
                {role_.sidecar.injection_rule, role_.sidecar.injection_scale});
}

void Verbalizer::Run(std::span<const float> activations, const VerbalizeOptions& options,
                     const std::function<void(Verbalization)>& done) const {
  const int64_t d = d_model();
  NLA_CHECK(activations.size() % d == 0 && options.samples > 0);
  const auto rows = static_cast<int64_t>(activations.size()) / d;
  if (rows == 0) return;
  // All rows before work on the first begins.
  CheckFinite(at::from_blob(const_cast<float*>(activations.data()), {rows, d}, at::kFloat));
  SamplingOptions sampling = options.sampling;
  for (const TokenId id : StopIds()) sampling.stop_ids.push_back(id);
  Engine engine(role_.decoder, role_.tokenizer, {.max_running = options.slots});
  RunRequests(
      engine, rows * options.samples,
      [&](int64_t i) {
        return EngineRequest{
            .prompt_TD = PromptRows(activations.subspan(i / options.samples * d, d)),
            .sampling = sampling,
            .seed = ReplySeed(options.seed, options.first_row + i / options.samples, i % options.samples)};
      },
      [&](int64_t i, Reply reply) {
        Verbalization out;
        out.index = i / options.samples;
        out.sample = i % options.samples;
        out.raw = role_.tokenizer.Decode(reply.ids, /*skip_special=*/false);
        out.explanation = ExtractExplanation(out.raw);
        out.finish_reason = reply.finish.reason;
        for (const float logprob : reply.logprobs) out.logprob += logprob;
        out.ids = std::move(reply.ids);
        done(std::move(out));
      });
}

std::vector<Verbalization> Verbalizer::Run(std::span<const float> activations, const VerbalizeOptions& options) const {
  std::vector<Verbalization> all(static_cast<int64_t>(activations.size()) / d_model() * options.samples);
  Run(activations, options, [&](Verbalization one) {
    const int64_t place = one.index * options.samples + one.sample;
    all[place] = std::move(one);
  });
  return all;
}

}  // namespace nla
