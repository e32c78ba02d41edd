// The bodies of /v1/completions and /v1/chat/completions.
#pragma once

#include <string>
#include <vector>

#include "serve/models.h"
#include "serve/request_fields.h"
#include "serve/sampling_request.h"

namespace nla::serve {

// Fields that both have, in OpenAI's names; the sampler's further ones as vLLM and SGLang name them.
struct OpenAiFields {
  std::string model;
  SamplingParams sampling = {};
  bool stream = false;
  Json stream_options = {};
  std::string user;
};

struct CompletionRequest {
  OpenAiFields common;
  Json prompt = {};
  int64_t logprobs = -1;
};

struct ChatRequest {
  OpenAiFields common;
  Json messages = {};
  bool logprobs = false;
  int64_t top_logprobs = 0;
  std::optional<int64_t> max_completion_tokens = {};
};

FieldTable Fields(CompletionRequest& request);
FieldTable Fields(ChatRequest& request);

// A body of either kind as the engine is to be asked.
struct OpenAiJob {
  ServedModel* model = nullptr;
  bool chat = false;
  bool stream = false;
  bool include_usage = false;
  SamplingParams sampling;
  int64_t top_logprobs = -1;  // -1: no logprobs
  std::vector<Prompt> prompts;
  std::string id;  // "cmpl-…"
  int64_t created = 0;
};

// Errors: usage errors; HttpError 404 for a model that is not here.
OpenAiJob ReadCompletion(std::string_view body, Models& models);
OpenAiJob ReadChat(std::string_view body, Models& models);

}  // namespace nla::serve
