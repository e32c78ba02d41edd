// What the engine is asked for, and what it says while it answers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/stop_pattern.h"
#include "model/sampler.h"

namespace nla {

using RequestId = int64_t;

struct EngineRequest {
  at::Tensor prompt_TD;                  // input embeddings, fp32 [T, D], at least one row
  std::vector<TokenId> prompt_ids = {};  // where the prompt is text: what repetition_penalty counts beside the reply
  SamplingOptions sampling = {};
  uint64_t seed = 0;                   // of the request's own stream of random numbers
  std::vector<std::string> stop = {};  // the reply ends where it spells one of these
  std::vector<std::shared_ptr<const StopPattern>> stop_patterns =
      {};                    // or where one of these matches; shared by replies
  bool trim_stop = true;     // leave the stop token, string or match out of the text
  bool skip_special = true;  // leave special tokens out of the text
  int64_t top_logprobs = 0;  // most probable tokens named beside each token of the reply, and of the prompt below
  std::optional<int64_t> prompt_logprobs_from = {};  // an index in prompt_ids: tell the logprobs of those behind it
};

// Of the tokens of a prompt behind prompt_logprobs_from, at temperature 1.
struct PromptLogprobs {
  std::vector<float> logprobs = {};
  std::vector<std::vector<std::pair<TokenId, float>>> top = {};  // most probable first; empty unless asked for
};

enum class FinishReason { kStop, kLength, kAbort };

struct Finish {
  FinishReason reason = FinishReason::kLength;
  TokenId stop_id = -1;        // kStop: the token that ended it, or
  std::string stop_text = {};  // the string or pattern
  std::string message = {};    // kAbort: why
};

// One token of a reply, or its end. Events of a request come in order; the last one has `finish`. A stop token is a
// token of the reply like any other.
struct EngineEvent {
  TokenId id = -1;                                  // -1: no token, the request was aborted
  float logprob = 0;                                // as SampledToken's
  std::vector<std::pair<TokenId, float>> top = {};  // most probable first
  std::string text = {};       // what can be shown now; held back while it may be part of a character or a stop string
  int64_t cached_tokens = 0;   // prompt rows whose keys and values were there already
  PromptLogprobs prompt = {};  // in the event of the first token
  std::optional<Finish> finish = {};
};

// Called on the thread that steps the engine; must be quick, must not throw, and must not call the engine.
using EngineSink = std::function<void(RequestId, EngineEvent)>;

}  // namespace nla
