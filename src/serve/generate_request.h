// The body of POST /generate: SGLang's fields, its batches, and the three transports of input embeddings.
#pragma once

#include <string>
#include <vector>

#include "serve/models.h"
#include "serve/request_fields.h"
#include "serve/sampling_request.h"

namespace nla::serve {

struct GenerateRequest {
  Json text = {};
  Json input_ids = {};
  NestedFloats input_embeds = {};
  Blob input_embeds_b64_bf16 = {};
  Blob input_embeds_bytes = {};
  std::vector<int64_t> input_embeds_shape = {};
  Json sampling_params = {};
  Json rid = {};
  bool stream = false;
  bool return_logprob = false;
  int64_t logprob_start_len = -1;
  int64_t top_logprobs_num = 0;
  bool return_text_in_logprobs = false;

  bool prompt_logprobs() const { return return_logprob && logprob_start_len >= 0; }
};

FieldTable Fields(GenerateRequest& request);

// A body that has been understood: a prompt for each entry of the batch, with its parameters and name.
struct GenerateJob {
  GenerateRequest request;
  bool batch = false;  // prompts came as a list
  std::vector<Prompt> prompts;
  std::vector<SamplingParams> sampling;  // one for each prompt
  std::vector<std::string> rids;         // one for each prompt

  // Whether the answer is a list.
  bool many() const { return batch || sampling[0].n > 1; }
};

inline constexpr int64_t kMostReplies = 1024;  // of one request
inline constexpr int64_t kMostTopLogprobs = 64;

// Errors: usage errors and MalformedBody, as they are worded to the client.
GenerateJob ReadGenerate(std::string_view body, const ServedModel& model);

// Prompts of ids, checked against the vocabulary and the context before anything is computed.
Prompt PromptOfIds(const ServedModel& model, std::vector<TokenId> ids, const std::string& where);
Prompt PromptOfText(const ServedModel& model, std::string_view text, const std::string& where);
// Numbers of a body as ids; what is no id of any vocabulary becomes -1.
std::vector<TokenId> TokenIds(const Json& list);
// A fresh name for a request, of 32 hexadecimal digits.
std::string FreshRid();

}  // namespace nla::serve
