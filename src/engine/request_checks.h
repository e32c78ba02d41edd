// What a request must be before the engine takes it.
#pragma once

#include "engine/request.h"

namespace nla {

struct RequestLimits {
  int64_t d_model = 0, vocab_size = 0;
  int64_t max_tokens = 0;  // rows of a prompt
};

// Usage errors that name the field.
void CheckRequest(const EngineRequest& request, const RequestLimits& limits);

// Whether tokens of the reply change later logits.
bool PenaltiesApply(const SamplingOptions& options);

}  // namespace nla
