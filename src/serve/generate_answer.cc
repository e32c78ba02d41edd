// The answer's fields.
#include "serve/generate_answer.h"

#include <fmt/format.h>

namespace nla::serve {
namespace {

OrderedJson LogprobTuple(const GenerateJob& job, const ServedModel& model, TokenId id, std::optional<float> logprob) {
  OrderedJson text = nullptr;
  if (job.request.return_text_in_logprobs) text = model.tokenizer->Decode(std::span(&id, 1), /*skip_special=*/false);
  return OrderedJson::array({logprob ? OrderedJson(*logprob) : OrderedJson(), id, std::move(text)});
}

using Top = std::vector<std::pair<TokenId, float>>;

OrderedJson TopList(const GenerateJob& job, const ServedModel& model, const Top& top) {
  OrderedJson list = OrderedJson::array();
  for (const auto& [id, logprob] : top) list.push_back(LogprobTuple(job, model, id, logprob));
  return list;
}

// Of the prompt's tokens from logprob_start_len on; the first of them has none, as SGLang has it.
void AddPromptLogprobs(const GenerateJob& job, const ServedModel& model, size_t prompt, const PromptLogprobs& found,
                       OrderedJson& meta) {
  const std::span<const TokenId> ids =
      std::span(job.prompts[prompt].ids).subspan(static_cast<size_t>(job.request.logprob_start_len));
  OrderedJson tuples = OrderedJson::array({LogprobTuple(job, model, ids[0], std::nullopt)});
  for (size_t i = 0; i < found.logprobs.size(); ++i) {
    tuples.push_back(LogprobTuple(job, model, ids[i + 1], found.logprobs[i]));
  }
  meta["input_token_logprobs"] = std::move(tuples);
  if (job.request.top_logprobs_num == 0) return;
  OrderedJson tops = OrderedJson::array({nullptr});
  for (const Top& top : found.top) tops.push_back(TopList(job, model, top));
  meta["input_top_logprobs"] = std::move(tops);
}

void AddLogprobs(const GenerateJob& job, const ServedModel& model, const Reply& reply, OrderedJson& meta) {
  OrderedJson tuples = OrderedJson::array();
  for (size_t i = 0; i < reply.ids.size(); ++i) {
    tuples.push_back(LogprobTuple(job, model, reply.ids[i], reply.logprobs[i]));
  }
  meta["output_token_logprobs"] = std::move(tuples);
  meta["output_token_logprobs_length"] = reply.ids.size();
  if (job.request.top_logprobs_num == 0) return;
  OrderedJson tops = OrderedJson::array();
  for (const Top& top : reply.top) tops.push_back(TopList(job, model, top));
  meta["output_top_logprobs"] = std::move(tops);
}

}  // namespace

OrderedJson FinishJson(const Reply& reply) {
  if (!reply.finish) return nullptr;
  const Finish& finish = *reply.finish;
  if (finish.reason == FinishReason::kAbort) {
    return {{"type", "abort"}, {"message", finish.message}, {"status_code", nullptr}, {"err_type", nullptr}};
  }
  if (finish.reason == FinishReason::kLength) return {{"type", "length"}, {"length", reply.ids.size()}};
  return {{"type", "stop"},
          {"matched", finish.stop_id >= 0 ? OrderedJson(finish.stop_id) : OrderedJson(finish.stop_text)}};
}

OrderedJson GenerateAnswer(const GenerateJob& job, const ServedModel& model, size_t i, const Reply& reply) {
  const auto samples = static_cast<size_t>(job.sampling[0].n);
  const size_t prompt = i / samples;
  const std::string& rid = job.rids[prompt];
  OrderedJson meta{{"id", samples == 1 ? rid : fmt::format("{}_{}", rid, i % samples)},
                   {"finish_reason", FinishJson(reply)},
                   {"prompt_tokens", job.prompts[prompt].rows_TD.size(0)},
                   {"completion_tokens", reply.ids.size()},
                   {"cached_tokens", reply.cached_tokens},
                   {"weight_version", model.Version()}};
  if (reply.finish) meta["e2e_latency"] = reply.seconds;
  if (job.request.prompt_logprobs() && !reply.ids.empty()) AddPromptLogprobs(job, model, prompt, reply.prompt, meta);
  if (job.request.return_logprob) AddLogprobs(job, model, reply, meta);
  return {{"text", reply.text}, {"output_ids", reply.ids}, {"meta_info", std::move(meta)}};
}

}  // namespace nla::serve
