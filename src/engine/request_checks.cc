// One line for each thing that can be wrong.
#include "engine/request_checks.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

#include "base/fail.h"

namespace nla {
namespace {

void Want(bool good, const char* field, double found, const char* wanted) {
  if (!good) FailUsage({.where = field, .found = fmt::format("{}", found), .wanted = wanted});
}

bool Between(double low, double x, double high) { return std::isfinite(x) && x >= low && x <= high; }

void CheckSampling(const SamplingOptions& s, int64_t vocab_size) {
  Want(Between(0, s.temperature, 1e6), "temperature", s.temperature, "0 (greedy) or more");
  Want(Between(0, s.top_p, 1) && s.top_p > 0, "top_p", s.top_p, "a number above 0, at most 1");
  Want(s.top_k >= 0, "top_k", static_cast<double>(s.top_k), "1 or more, or nothing for all tokens");
  Want(Between(0, s.min_p, 1), "min_p", s.min_p, "a number in [0, 1]");
  Want(Between(-2, s.frequency_penalty, 2), "frequency_penalty", s.frequency_penalty, "a number in [-2, 2]");
  Want(Between(-2, s.presence_penalty, 2), "presence_penalty", s.presence_penalty, "a number in [-2, 2]");
  Want(Between(0, s.repetition_penalty, 2) && s.repetition_penalty > 0, "repetition_penalty", s.repetition_penalty,
       "a number above 0, at most 2");
  Want(s.max_new_tokens > 0, "max_new_tokens", static_cast<double>(s.max_new_tokens), "1 or more");
  Want(s.min_new_tokens >= 0 && s.min_new_tokens <= s.max_new_tokens, "min_new_tokens",
       static_cast<double>(s.min_new_tokens), "a number from 0 to max_new_tokens");
  for (const TokenId id : s.stop_ids) Want(id >= 0 && id < vocab_size, "stop_token_ids", id, "ids of the vocabulary");
}

// One pass over the rows; at::isfinite writes a tensor of its own, which costs a large prompt a millisecond.
bool AllFinite(const at::Tensor& values) {
  const std::span<const float> all(values.const_data_ptr<float>(), static_cast<size_t>(values.numel()));
  uint32_t seen = 0;  // the top bit: an exponent of ones
  for (const float value : all) seen |= (std::bit_cast<uint32_t>(value) & 0x7f800000U) + 0x00800000U;
  return seen >> 31 == 0;
}

}  // namespace

void CheckRequest(const EngineRequest& request, const RequestLimits& limits) {
  const at::Tensor& prompt = request.prompt_TD;
  if (!prompt.defined() || prompt.numel() == 0) {
    FailUsage({.where = "prompt", .what = "is empty", .wanted = "at least one token"});
  }
  NLA_CHECK(prompt.dim() == 2 && prompt.scalar_type() == at::kFloat);
  if (prompt.size(1) != limits.d_model) {
    FailUsage({.where = "prompt embeddings",
               .what = "have another width than the model",
               .found = std::to_string(prompt.size(1)),
               .wanted = std::to_string(limits.d_model)});
  }
  if (prompt.size(0) > limits.max_tokens) {
    FailUsage({.where = "sequence",
               .what = "too long for the model",
               .found = fmt::format("{} tokens", prompt.size(0)),
               .wanted = fmt::format("at most {}", limits.max_tokens),
               .mend = "Shorten the text"});
  }
  if (!AllFinite(prompt.contiguous())) {
    FailUsage({.where = "prompt embeddings", .what = "hold a value that is not finite"});
  }
  CheckSampling(request.sampling, limits.vocab_size);
  for (const TokenId id : request.prompt_ids)
    Want(id >= 0 && id < limits.vocab_size, "prompt", id, "ids of the vocabulary");
  if (request.prompt_logprobs_from) {
    if (static_cast<int64_t>(request.prompt_ids.size()) != prompt.size(0)) {
      FailUsage({.where = "prompt", .what = "has no ids, so that its tokens have no log-probabilities"});
    }
    Want(*request.prompt_logprobs_from >= 0 && *request.prompt_logprobs_from < prompt.size(0), "prompt_logprobs_from",
         static_cast<double>(*request.prompt_logprobs_from), "the index of a token of the prompt");
  }
  for (const std::string& stop : request.stop) {
    if (stop.empty()) FailUsage({.where = "stop", .what = "is empty", .wanted = "text that ends the reply"});
  }
  Want(request.top_logprobs >= 0 && request.top_logprobs <= limits.vocab_size, "top_logprobs",
       static_cast<double>(request.top_logprobs), "a number from 0 to the size of the vocabulary");
}

bool PenaltiesApply(const SamplingOptions& options) {
  return options.frequency_penalty != 0 || options.presence_penalty != 0 || options.repetition_penalty != 1;
}

}  // namespace nla
