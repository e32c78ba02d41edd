// Replies of the live verbalizer to activations, by the engine: what is trained on.
#pragma once

#include <cstdint>
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

// Borrows the model, whose weights may change between calls: in fp32 each call packs them anew for decoding, adapters
// merged. Not thread-safe.
class Rollout {
 public:
  Rollout(PairModel& model, int64_t slots);

  // `activations` is [n, d] row-major; sample j of row i at i · samples + j.
  std::vector<Sample> Run(std::span<const float> activations, const RolloutOptions& options);

 private:
  EngineRequest RequestFor(std::span<const float> activation, const RolloutOptions& options, int64_t index) const;

  PairModel& model_;
  std::vector<TokenId> stop_ids_;
  Engine engine_;
};

}  // namespace nla
