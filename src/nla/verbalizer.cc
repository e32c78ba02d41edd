// Verbalization: one prefix for all, then the marker row and the prompt's tail per activation.
#include "nla/verbalizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "base/fail.h"

namespace nla {

Verbalizer Verbalizer::Load(const RoleSource& source) {
  RoleCheckpoint role = LoadRole(source, Role::kActor);
  const std::string where = (source.directory / "nla_meta.yaml").string();
  if (!role.sidecar.tokens)
    Fail({.where = where + ": tokens", .what = "is missing", .wanted = "the marker token's facts"});
  ActorPrompt prompt = BuildActorPrompt(role.tokenizer, role.chat, role.sidecar.actor_template, *role.sidecar.tokens);
  return {std::move(role), std::move(prompt)};
}

void Verbalizer::Run(std::span<const float> activations, const VerbalizeOptions& options,
                     const std::function<void(Verbalization)>& done) const {
  const at::NoGradGuard no_grad;
  const int64_t d = d_model();
  NLA_CHECK(activations.size() % d == 0 && options.samples > 0);
  const auto rows = static_cast<int64_t>(activations.size()) / d;
  if (rows == 0) return;
  const at::Tensor vectors_ND = at::from_blob(const_cast<float*>(activations.data()), {rows, d}, at::kFloat);
  const InjectionOptions injection{role_.sidecar.injection_rule, role_.sidecar.injection_scale};
  CheckFinite(vectors_ND);  // all rows before work on the first begins
  const std::span<const TokenId> ids(prompt_.ids);
  const at::Tensor tail_TD = role_.decoder.Embed(ids.subspan(prompt_.site));
  const at::Tensor first_row = at::zeros({1}, at::kLong);

  SamplingOptions sampling = options.sampling;
  for (const TokenId id : role_.chat.StopIds(role_.tokenizer)) sampling.stop_ids.push_back(id);
  Generator generator(role_.decoder, sampling, options.slots);
  generator.SetPrefix(ids.first(prompt_.site));
  generator.Run(
      rows * options.samples,
      [&](int64_t i) {
        const at::Tensor vector_1D = vectors_ND.narrow(0, i / options.samples, 1);
        return GenerationRequest{Inject(tail_TD, vector_1D, first_row, injection),
                                 options.seed * 0x9e3779b97f4a7c15U + static_cast<uint64_t>(i)};
      },
      [&](int64_t i, Generation result) {
        Verbalization out;
        out.index = i / options.samples;
        out.sample = i % options.samples;
        out.raw = role_.tokenizer.Decode(result.ids, /*skip_special=*/false);
        out.explanation = ExtractExplanation(out.raw);
        out.finish_reason = result.reason;
        for (const float logprob : result.logprobs) out.logprob += logprob;
        out.ids = std::move(result.ids);
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
