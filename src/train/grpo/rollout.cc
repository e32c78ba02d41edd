// Keys and values of a group's prompt are computed once: the engine finds equal beginnings. Nothing outlives a call, so
// that no reply sees keys of earlier weights.
#include "train/grpo/rollout.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>

#include <algorithm>

#include "base/fail.h"

namespace nla {

at::Tensor PromptRows(const PairModel& model, std::span<const float> activation) {
  const at::NoGradGuard no_grad;
  const auto width = static_cast<int64_t>(activation.size());
  const at::Tensor vector_1D = at::from_blob(const_cast<float*>(activation.data()), {1, width}, at::kFloat);
  return Inject(model.actor.decoder.Embed(model.prompt.ids), vector_1D, at::full({1}, model.prompt.site, at::kLong),
                model.injection());
}

SamplingOptions SamplingFor(const RolloutOptions& options, const std::vector<TokenId>& stop_ids) {
  SamplingOptions sampling;
  sampling.temperature = options.temperature;
  sampling.max_new_tokens = options.max_new_tokens;
  sampling.stop_ids = stop_ids;
  return sampling;
}

void DecodeText(const PairModel& model, Sample& sample) {
  const std::span<const TokenId> ids(sample.ids);
  sample.text = model.actor.tokenizer.Decode(ids.first(ids.size() - (sample.stopped ? 1 : 0)), false);
}

EngineRollout::EngineRollout(PairModel& model, int64_t slots)
    : model_(model),
      stop_ids_(model.actor.chat.StopIds(model.actor.tokenizer)),
      engine_(model.actor.decoder, model.actor.tokenizer, {.max_running = slots}) {}

EngineRequest EngineRollout::RequestFor(std::span<const float> activation, const RolloutOptions& options,
                                        int64_t index) const {
  return {.prompt_TD = PromptRows(model_, activation),
          .sampling = SamplingFor(options, stop_ids_),
          .seed = options.seed + static_cast<uint64_t>(index)};
}

std::vector<Sample> EngineRollout::Run(std::span<const float> activations, const RolloutOptions& options) {
  const int64_t d = model_.d_model();
  NLA_CHECK(engine_.idle() && options.samples > 0 && static_cast<int64_t>(activations.size()) % d == 0);
  engine_.FlushCache();
  PackBeside(model_.actor.decoder, packed::Format::kFloat);
  std::vector<Sample> samples(static_cast<int64_t>(activations.size()) / d * options.samples);
  const auto count = static_cast<int64_t>(samples.size());
  int64_t started = 0;
  while (started < count || !engine_.idle()) {
    for (; started < count && engine_.free_places() > 0; ++started) {
      Sample& sample = samples[started];
      engine_.Submit(RequestFor(activations.subspan(started / options.samples * d, d), options, started),
                     [&sample](RequestId, const EngineEvent& event) {
                       sample.ids.push_back(event.id);
                       sample.logprobs.push_back(event.logprob);
                       if (event.finish) sample.stopped = event.finish->reason == FinishReason::kStop;
                     });
    }
    engine_.Step();
  }
  for (Sample& sample : samples) DecodeText(model_, sample);
  return samples;
}

}  // namespace nla
