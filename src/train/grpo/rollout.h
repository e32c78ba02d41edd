// Replies of the live verbalizer to activations: what is trained on. By the engine in this process, or by servers
// (server_rollout.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "train/grpo/pair_model.h"

namespace nla {

struct RolloutOptions {
  int64_t samples = 1;     // replies to each activation
  double temperature = 0;  // 0: greedy
  int64_t max_new_tokens = 150;
  uint64_t seed = 0;  // reply i draws from a stream of its own
};

struct Sample {
  std::vector<TokenId> ids;     // as the engine's events had them; the last one is a stop token when `stopped`
  std::vector<float> logprobs;  // one for each id, as the sampler had it
  bool stopped = false;         // ended by a stop token, not by its length
  std::string text;             // without the stop token
};

// The prompt's embedding rows with the activation in its place, fp32 [T, D].
at::Tensor PromptRows(const PairModel& model, std::span<const float> activation);
SamplingOptions SamplingFor(const RolloutOptions& options, const std::vector<TokenId>& stop_ids);
// Fills in the text of a sample's ids.
void DecodeText(const PairModel& model, Sample& sample);

// Not thread-safe.
class Rollout {
 public:
  virtual ~Rollout() = default;

  // `activations` is [n, d] row-major; sample j of row i at i · samples + j.
  virtual std::vector<Sample> Run(std::span<const float> activations, const RolloutOptions& options) = 0;
  // The verbalizer's weights are other ones after the call's step (0: those that the run begins with). Collective.
  virtual void WeightsChanged(int64_t step) = 0;
  // How far the log-probabilities of replies may lie from the trainer's, in nats a token; nullopt: as the number type
  // has it.
  virtual std::optional<double> Agreement() const { return std::nullopt; }
};

// Borrows the model, whose weights may change between calls: in fp32 each call packs them anew for decoding, adapters
// merged.
class EngineRollout : public Rollout {
 public:
  EngineRollout(PairModel& model, int64_t slots);

  std::vector<Sample> Run(std::span<const float> activations, const RolloutOptions& options) override;
  void WeightsChanged(int64_t /*step*/) override {}

 private:
  EngineRequest RequestFor(std::span<const float> activation, const RolloutOptions& options, int64_t index) const;

  PairModel& model_;
  std::vector<TokenId> stop_ids_;
  Engine engine_;
};

}  // namespace nla
