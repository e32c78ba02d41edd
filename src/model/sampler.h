// Picks the next token from logits: greedy, or temperature with top-k and top-p. Never sorts the whole vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "text/tokenizer.h"

namespace nla {

struct SamplingOptions {
  double temperature = 1.0;  // below 1e-6: greedy
  double top_p = 1.0;        // smallest set of tokens with at least this probability
  int64_t top_k = 0;         // 0: all
  int64_t max_new_tokens = 128;
  std::vector<TokenId> stop_ids;  // generation ends before one of these
};

struct SampledToken {
  TokenId id = -1;
  float logprob = 0;  // after temperature, before top-k and top-p
};

// `logits` are fp32 [V] and are overwritten. Equal generator states give equal tokens.
SampledToken SampleToken(std::span<float> logits, const SamplingOptions& options, CounterRandom& random);

}  // namespace nla
