// The table of sampling parameters.
#include "serve/sampling_request.h"

#include <fmt/format.h>

#include "base/fail.h"

namespace nla::serve {

FieldTable Fields(SamplingParams& p) {
  constexpr double kMostIds = 2147483647;
  return {
      {"max_new_tokens",
       &p.max_new_tokens,
       "longest reply, in tokens; cut to what the context leaves",
       {.low = 1, .high = kMostIds}},
      {"temperature",
       &p.temperature,
       "logits are divided by it; below 1e-6 the most probable token is taken",
       {.low = 0, .high = 1000}},
      {"top_p", &p.top_p, "smallest set of tokens with this probability", {.low = 0, .high = 1, .above_low = true}},
      {"top_k", &p.top_k, "the K most probable tokens; -1 or 1073741824: all", {.low = -1, .high = 1 << 30}},
      {"min_p", &p.min_p, "tokens at least so probable as this part of the most probable", {.low = 0, .high = 1}},
      {"frequency_penalty",
       &p.frequency_penalty,
       "taken from a token's logit for each time it stands in the reply",
       {.low = -2, .high = 2}},
      {"presence_penalty",
       &p.presence_penalty,
       "taken from a token's logit once it stands in the reply",
       {.low = -2, .high = 2}},
      {"repetition_penalty",
       &p.repetition_penalty,
       "logits of tokens of prompt and reply are divided by it, negative ones multiplied",
       {.low = 0, .high = 2, .above_low = true}},
      {"min_new_tokens", &p.min_new_tokens, "no stop token before so many tokens", {.low = 0, .high = kMostIds}},
      {"n", &p.n, "replies to each prompt", {.low = 1, .high = static_cast<double>(kMostSamples)}},
      {"stop", &p.stop, "the reply ends where it spells one of these"},
      {"stop_regex", &p.stop_regex, "the reply ends where one of these patterns (PCRE2) matches its text"},
      {"stop_token_ids", &p.stop_token_ids, "further ids that end the reply", {.low = 0, .high = kMostIds}},
      {"ignore_eos", &p.ignore_eos, "go on past the model's own end of a reply"},
      {"no_stop_trim", &p.no_stop_trim, "leave the stop token or string in the text"},
      {"skip_special_tokens", &p.skip_special_tokens, "leave special tokens out of the text"},
      {"spaces_between_special_tokens", &p.spaces_between_special_tokens, "true alone is supported"},
      {"sampling_seed",
       &p.sampling_seed,
       "equal seeds give equal replies; absent: another one each time",
       {.low = 0, .high = 9007199254740991}},
      {"json_schema", Refused{"Constrained decoding is not built"}, "JSON schema of the reply"},
      {"regex", Refused{"Constrained decoding is not built"}, "pattern of the reply"},
      {"ebnf", Refused{"Constrained decoding is not built"}, "grammar of the reply"},
      {"structural_tag", Refused{"Constrained decoding is not built"}, "structure of the reply"},
      {"logit_bias", Refused{"Use a penalty"}, "added to logits"},
      {"custom_params", Refused{"There are no custom processors"}, "parameters of a custom processor"},
      {"stream_interval", Refused{"Every token is sent"}, "tokens between two events of a stream"},
  };
}

void Check(SamplingParams& p, const std::string& where) {
  if (p.top_k == 0) {
    FailUsage({.where = where + ".top_k", .what = "is out of range", .found = "0", .wanted = "-1 (all) or at least 1"});
  }
  if (p.min_new_tokens > p.max_new_tokens) {
    FailUsage({.where = where + ".min_new_tokens",
               .what = "is out of range",
               .found = std::to_string(p.min_new_tokens),
               .wanted = fmt::format("at most max_new_tokens = {}", p.max_new_tokens)});
  }
  if (!p.spaces_between_special_tokens) {
    FailUsage({.where = where + ".spaces_between_special_tokens",
               .what = "is not supported",
               .found = "false",
               .wanted = "true"});
  }
  for (const std::string& stop : p.stop) {
    if (stop.empty()) FailUsage({.where = where + ".stop", .what = "holds an empty string"});
  }
  const std::string patterns = where + ".stop_regex";
  if (p.stop_regex.size() > kMostStopPatterns) {
    FailUsage({.where = patterns,
               .what = "holds too many patterns",
               .found = std::to_string(p.stop_regex.size()),
               .wanted = fmt::format("at most {}", kMostStopPatterns)});
  }
  p.stop_patterns.clear();
  for (const std::string& pattern : p.stop_regex) {
    p.stop_patterns.push_back(std::make_shared<const StopPattern>(pattern, patterns));
  }
}

SamplingParams ReadSampling(const Json& object, const std::string& where) {
  SamplingParams params;
  ReadObject(Fields(params), object, where);
  Check(params, where);
  return params;
}

uint64_t SeedOf(uint64_t seed, int64_t sample) {
  // Sample 0 is what one sample alone would be. The factor is the golden ratio's.
  return seed + static_cast<uint64_t>(sample) * 0x9e3779b97f4a7c15U;
}

EngineRequest MakeRequest(const SamplingParams& p, const ServedModel& model, const Prompt& prompt, uint64_t seed) {
  EngineRequest request;
  request.prompt_TD = prompt.rows_TD;
  request.prompt_ids = prompt.ids;
  request.seed = seed;
  request.stop = p.stop;
  request.stop_patterns = p.stop_patterns;
  request.trim_stop = !p.no_stop_trim;
  request.skip_special = p.skip_special_tokens;
  SamplingOptions& sampling = request.sampling;
  sampling.temperature = p.temperature;
  sampling.top_p = p.top_p;
  sampling.top_k = p.top_k < 0 || p.top_k == 1 << 30 ? 0 : p.top_k;
  sampling.min_p = p.min_p;
  sampling.frequency_penalty = p.frequency_penalty;
  sampling.presence_penalty = p.presence_penalty;
  sampling.repetition_penalty = p.repetition_penalty;
  sampling.max_new_tokens = p.max_new_tokens;
  sampling.min_new_tokens = p.min_new_tokens;
  if (!p.ignore_eos) sampling.stop_ids = model.stop_ids;
  for (const int64_t id : p.stop_token_ids) sampling.stop_ids.push_back(static_cast<TokenId>(id));
  return request;
}

OrderedJson Describe(const SamplingParams& p) {
  return {{"temperature", p.temperature},
          {"top_p", p.top_p},
          {"top_k", p.top_k},
          {"min_p", p.min_p},
          {"max_new_tokens", p.max_new_tokens}};
}

}  // namespace nla::serve
