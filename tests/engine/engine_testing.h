// What the engine's tests share: the tiny model, prompts, and replies gathered from events.
#pragma once

#include <map>
#include <vector>

#include "engine/engine.h"

namespace nla::testing {

struct TinyModel {
  Tokenizer tokenizer;
  Decoder decoder;
};
TinyModel LoadTinyModel();

using Prompts = std::vector<std::vector<TokenId>>;
// `count` prompts of 1 to 20 tokens.
Prompts MakePrompts(int64_t count);

SamplingOptions Sampling(double temperature, int64_t max_new_tokens, std::vector<TokenId> stop_ids = {});

// What the events of one request said.
struct Heard {
  std::vector<TokenId> ids;
  std::vector<float> logprobs;
  PromptLogprobs prompt;
  std::string text;
  int64_t cached_tokens = 0;
  std::optional<Finish> finish;
};
// A sink that adds to `heard`, and fails the test when anything follows the end.
EngineSink Into(Heard& heard);

}  // namespace nla::testing
