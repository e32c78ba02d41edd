// Tables and readings of OpenAI's bodies.
#include "serve/openai_requests.h"

#include <fmt/format.h>

#include <ctime>

#include "base/fail.h"
#include "serve/generate_request.h"
#include "serve/http_error.h"

namespace nla::serve {
namespace {

void AddCommonFields(FieldTable& table, OpenAiFields& f, const char* max_tokens_help) {
  // Ranges are those of the same fields in /generate.
  const FieldTable sampling = Fields(f.sampling);
  const auto rename = [&](const char* from, const char* to, const std::string& help = "") {
    for (const RequestField& field : sampling) {
      if (field.name != from) continue;
      RequestField& added = table.emplace_back(field);
      added.name = to;
      if (!help.empty()) added.help = help;
    }
  };
  table.push_back({"model", &f.model, "one of /v1/models; absent: the one that chats"});
  rename("max_new_tokens", "max_tokens", max_tokens_help);
  rename("min_new_tokens", "min_tokens");
  rename("sampling_seed", "seed");
  for (const char* same : {"temperature", "top_p", "top_k", "min_p", "n", "stop", "stop_token_ids", "frequency_penalty",
                           "presence_penalty", "repetition_penalty", "ignore_eos", "skip_special_tokens"}) {
    rename(same, same);
  }
  table.push_back({"stream", &f.stream, "answer with server-sent events"});
  table.push_back({"stream_options",
                   &f.stream_options,
                   "{\"include_usage\": true}: a last event with the tokens counted",
                   {.shapes = {Shape::kObject}}});
  table.push_back({"user", &f.user, "a name of the asker's; not used"});
  table.push_back({"logit_bias", Refused{"Use a penalty"}, "added to logits"});
}

ServedModel& Choose(Models& models, const std::string& name) {
  if (name.empty()) return models.chat();
  std::string known;
  for (ServedModel* model : models.all()) {
    if (model->id == name) return *model;
    known += (known.empty() ? "" : ", ") + model->id;
  }
  throw HttpError(404, fmt::format("model: found \"{}\", wanted one of {}", name.substr(0, 100), known));
}

bool IncludeUsage(const OpenAiFields& f) {
  if (f.stream_options.is_null()) return false;
  bool include = false;
  bool continuous = false;
  ReadObject({{"include_usage", &include, "count tokens"}, {"continuous_usage_stats", &continuous, "in every event"}},
             f.stream_options, "stream_options");
  if (!f.stream) FailUsage({.where = "stream_options", .what = "belongs to stream = true"});
  if (continuous) FailUsage({.where = "stream_options.continuous_usage_stats", .what = "is not supported"});
  return include;
}

OpenAiJob Begin(const OpenAiFields& f, Models& models, const char* prefix) {
  OpenAiJob job;
  job.model = &Choose(models, f.model);
  job.stream = f.stream;
  job.include_usage = IncludeUsage(f);
  job.sampling = f.sampling;
  job.id = prefix + FreshRid();
  job.created = std::time(nullptr);
  return job;
}

void Complete(OpenAiJob& job) {
  if (job.sampling.top_k == 0) job.sampling.top_k = -1;  // vLLM's and Hugging Face's "all"
  Check(job.sampling, "body");
  if (static_cast<int64_t>(job.prompts.size()) * job.sampling.n > kMostReplies) {
    FailUsage(
        {.where = "body", .what = "asks for too many replies", .wanted = fmt::format("at most {}", kMostReplies)});
  }
}

// A message's text: a string, or parts of type "text".
std::string ContentOf(const Json& message, const std::string& where) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) return "";
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  const bool parts = content->is_array() && std::all_of(content->begin(), content->end(), [](const Json& part) {
                       return part.is_object() && part.value("type", "") == "text" && part.contains("text") &&
                              part["text"].is_string();
                     });
  if (!parts)
    FailUsage({.where = where + ".content", .what = "is not text", .wanted = "a string, or parts of type \"text\""});
  for (const Json& part : *content) text += part["text"].get<std::string>();
  return text;
}

std::vector<ChatMessage> ReadMessages(const Json& messages) {
  std::vector<ChatMessage> result;
  for (size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    const std::string where = fmt::format("messages[{}]", i);
    const auto role = message.find("role");
    if (role == message.end() || !role->is_string()) {
      FailUsage({.where = where + ".role", .what = "is missing", .wanted = "system, user or assistant"});
    }
    Json extra = message;
    extra.erase("role");
    extra.erase("content");
    result.push_back({role->get<std::string>(), ContentOf(message, where), extra.empty() ? "" : extra.dump()});
  }
  if (result.empty()) FailUsage({.where = "messages", .what = "is empty", .wanted = "at least one message"});
  return result;
}

}  // namespace

FieldTable Fields(CompletionRequest& r) {
  FieldTable table;
  r.common.sampling.max_new_tokens = 16;
  table.push_back(
      {"prompt",
       &r.prompt,
       "text or ids, or a list of either",
       {.required = true, .shapes = {Shape::kText, Shape::kTexts, Shape::kIntegers, Shape::kIntegerLists}}});
  AddCommonFields(table, r.common, "longest reply, in tokens");
  table.push_back({"logprobs",
                   &r.logprobs,
                   "log-probabilities, and so many of the most probable tokens",
                   {.low = -1, .high = static_cast<double>(kMostTopLogprobs)}});
  table.push_back({"echo", Refused{"Put the prompt in front yourself"}, "the prompt in front of the reply"});
  table.push_back({"suffix", Refused{"The model writes forwards"}, "text behind the reply"});
  table.push_back({"best_of", Refused{"Use n"}, "candidates"});
  table.push_back({"prompt_embeds", Refused{"Use input_embeds of /generate"}, "prompt as embeddings"});
  return table;
}

FieldTable Fields(ChatRequest& r) {
  FieldTable table;
  r.common.sampling.max_new_tokens = 1024;
  table.push_back(
      {"messages", &r.messages, "the conversation: role and content", {.required = true, .shapes = {Shape::kObjects}}});
  AddCommonFields(table, r.common, "longest reply, in tokens; cut to what the context leaves");
  table.push_back({"max_completion_tokens",
                   &r.max_completion_tokens,
                   "the newer name of max_tokens",
                   {.low = 1, .high = 2147483647}});
  table.push_back({"logprobs", &r.logprobs, "log-probabilities of the reply's tokens"});
  table.push_back({"top_logprobs",
                   &r.top_logprobs,
                   "most probable tokens beside each",
                   {.low = 0, .high = static_cast<double>(kMostTopLogprobs)}});
  for (const char* name : {"tools", "tool_choice", "functions", "function_call", "parallel_tool_calls"}) {
    table.push_back({name, Refused{"Tools are not called by this server"}, "tools"});
  }
  table.push_back({"response_format", Refused{"Constrained decoding is not built"}, "form of the reply"});
  return table;
}

OpenAiJob ReadCompletion(std::string_view text, Models& models) {
  CompletionRequest request;
  const FieldTable table = Fields(request);
  RequestBody body = ParseFor(table, text);
  ReadBody(table, body);
  OpenAiJob job = Begin(request.common, models, "cmpl-");
  job.top_logprobs = request.logprobs;
  const Json& prompt = request.prompt;
  const auto add_text = [&](const Json& one) {
    job.prompts.push_back(PromptOfText(*job.model, one.get_ref<const std::string&>(), "prompt"));
  };
  const auto add_ids = [&](const Json& one) {
    job.prompts.push_back(PromptOfIds(*job.model, TokenIds(one), "prompt"));
  };
  if (prompt.is_string()) {
    add_text(prompt);
  } else if (prompt.empty() || prompt[0].is_number()) {
    add_ids(prompt);
  } else {
    for (const Json& one : prompt) one.is_string() ? add_text(one) : add_ids(one);
  }
  Complete(job);
  return job;
}

OpenAiJob ReadChat(std::string_view text, Models& models) {
  ChatRequest request;
  const FieldTable table = Fields(request);
  RequestBody body = ParseFor(table, text);
  const std::set<std::string> given = ReadBody(table, body);
  OpenAiJob job = Begin(request.common, models, "chatcmpl-");
  job.chat = true;
  if (request.max_completion_tokens) {
    if (given.contains("max_tokens"))
      FailUsage({.where = "max_completion_tokens", .what = "is given beside max_tokens"});
    job.sampling.max_new_tokens = *request.max_completion_tokens;
  }
  if (request.top_logprobs > 0 && !request.logprobs) {
    FailUsage({.where = "top_logprobs", .what = "belongs to logprobs = true"});
  }
  job.top_logprobs = request.logprobs ? request.top_logprobs : -1;
  const std::vector<ChatMessage> messages = ReadMessages(request.messages);
  std::vector<TokenId> ids;
  try {
    ids = job.model->chat->Encode(*job.model->tokenizer, messages, /*add_generation_prompt=*/true);
  } catch (const Error& error) {  // what the template refuses is the conversation's fault
    FailUsage({.where = "messages", .what = error.what()});
  }
  job.prompts.push_back(PromptOfIds(*job.model, std::move(ids), "messages"));
  Complete(job);
  return job;
}

}  // namespace nla::serve
