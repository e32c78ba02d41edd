// SGLang's sampling_params: names, defaults and ranges, and what the engine makes of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/request.h"
#include "serve/models.h"
#include "serve/request_fields.h"

namespace nla::serve {

struct SamplingParams {
  int64_t max_new_tokens = 128;
  double temperature = 1;  // below 1e-6: greedy
  double top_p = 1;
  int64_t top_k = -1;  // -1 and 1<<30: all
  double min_p = 0;
  double frequency_penalty = 0;
  double presence_penalty = 0;
  double repetition_penalty = 1;
  int64_t min_new_tokens = 0;
  int64_t n = 1;
  std::vector<std::string> stop = {};
  std::vector<std::string> stop_regex = {};
  std::vector<std::shared_ptr<const StopPattern>> stop_patterns = {};  // those of stop_regex, once Check has taken them
  std::vector<int64_t> stop_token_ids = {};
  bool ignore_eos = false;
  bool no_stop_trim = false;
  bool skip_special_tokens = true;
  bool spaces_between_special_tokens = true;
  std::optional<int64_t> sampling_seed = {};
};

inline constexpr int64_t kMostSamples = 256;

FieldTable Fields(SamplingParams& params);
// What no field alone can say, and compiled patterns; errors (usage) name `where`.
void Check(SamplingParams& params, const std::string& where);
SamplingParams ReadSampling(const Json& object, const std::string& where);

// What a reply begins with: rows, and the ids behind them where it was text.
struct Prompt {
  at::Tensor rows_TD;
  std::vector<TokenId> ids = {};
};

// The engine's request for one sample; `seed` where the parameters have none.
EngineRequest MakeRequest(const SamplingParams& params, const ServedModel& model, const Prompt& prompt, uint64_t seed);
// Sample j of one prompt draws from its own stream.
uint64_t SeedOf(uint64_t seed, int64_t sample);

// The sampler as answers show it where they say how they came about.
OrderedJson Describe(const SamplingParams& params);

}  // namespace nla::serve
