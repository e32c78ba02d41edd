// Picks the next token from logits: greedy, or temperature with top-k, top-p and min-p; penalties before. Never sorts
// the whole vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "text/tokenizer.h"

namespace nla {

struct SamplingOptions {
  double temperature = 1.0;  // below 1e-6: greedy
  double top_p = 1.0;        // smallest set of tokens with at least this probability
  int64_t top_k = 0;         // 0: all
  double min_p = 0;          // of the most probable token's probability: what is below is left out
  // Taken from a token's logit for each time it is in the reply, and once if it is there at all.
  double frequency_penalty = 0;
  double presence_penalty = 0;
  double repetition_penalty = 1;  // logits of tokens in prompt or reply are divided by it (negative ones multiplied)
  int64_t max_new_tokens = 128;
  int64_t min_new_tokens = 0;     // no stop token before
  std::vector<TokenId> stop_ids;  // generation ends with one of these
};

struct SampledToken {
  TokenId id = -1;
  float logprob = 0;  // after temperature and penalties, before top-k, top-p and min-p
};

// How often each token stands in a reply; 0: in the prompt alone.
using TokenCounts = std::unordered_map<TokenId, int64_t>;

// Penalties of what was said already, and stop tokens made impossible before min_new_tokens. `logits` are fp32 [V].
void ApplyPenalties(std::span<float> logits, const SamplingOptions& options, const TokenCounts& counts,
                    int64_t reply_tokens);

// `logits` are fp32 [V] and are overwritten by unnormalised probabilities. Equal generator states give equal tokens.
SampledToken SampleToken(std::span<float> logits, const SamplingOptions& options, CounterRandom& random);

// The logprob of one token at temperature 1. `logits` are overwritten as SampleToken overwrites them.
float LogprobOf(std::span<float> logits, TokenId id);

// The most probable tokens after SampleToken or LogprobOf, with their logprobs; at most `count`.
std::vector<std::pair<TokenId, float>> TopTokens(std::span<const float> weights, int64_t count);

}  // namespace nla
