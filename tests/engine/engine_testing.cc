// The tiny model of the model tests behind the engine.
#include "engine/engine_testing.h"

#include <gtest/gtest.h>

#include "model/model_testing.h"

namespace nla::testing {

TinyModel LoadTinyModel() {
  return {Tokenizer::Load(NLA_SOURCE_DIR "/tests/model/golden/tiny_tokenizer"),
          Decoder::Load(Checkpoint::Open(TinyLlama()), {})};
}

Prompts MakePrompts(int64_t count) {
  CounterRandom random(4, 0);
  Prompts prompts(count);
  for (auto& prompt : prompts) {
    prompt.resize(1 + random.Below(20));
    for (TokenId& id : prompt) id = static_cast<TokenId>(random.Below(288));
  }
  return prompts;
}

SamplingOptions Sampling(double temperature, int64_t max_new_tokens, std::vector<TokenId> stop_ids) {
  SamplingOptions options;
  options.temperature = temperature;
  options.max_new_tokens = max_new_tokens;
  options.stop_ids = std::move(stop_ids);
  return options;
}

EngineSink Into(Heard& heard) {
  return [&heard](RequestId, const EngineEvent& event) {
    ASSERT_FALSE(heard.finish) << "an event after the end";
    if (event.id >= 0) {
      heard.ids.push_back(event.id);
      heard.logprobs.push_back(event.logprob);
    }
    if (!event.prompt.logprobs.empty()) {
      ASSERT_TRUE(heard.prompt.logprobs.empty()) << "told twice";
      heard.prompt = event.prompt;
    }
    heard.text += event.text;
    heard.cached_tokens = event.cached_tokens;
    heard.finish = event.finish;
  };
}

}  // namespace nla::testing
