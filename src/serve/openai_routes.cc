// POST /v1/completions and /v1/chat/completions.
#include <numeric>

#include "serve/answer_schemas.h"
#include "serve/openai_requests.h"
#include "serve/routes.h"

namespace nla::serve {
namespace {

// A job and its replies, from the parsed body to the last byte.
class OpenAiWork {
 public:
  OpenAiWork(Context& context, OpenAiJob given, RequestState& state)
      : job(std::move(given)),
        replies({*job.model->engine, context.metrics, context.active, state.replies}, Plan(context)),
        sent_(replies.size(), 0),
        sent_ids_(replies.size(), 0) {}

  OrderedJson Usage() const {
    int64_t prompt = 0;
    int64_t reply = 0;
    for (const Prompt& one : job.prompts) prompt += one.rows_TD.size(0);
    for (size_t i = 0; i < replies.size(); ++i) reply += static_cast<int64_t>(replies[i].ids.size());
    return {{"prompt_tokens", prompt}, {"completion_tokens", reply}, {"total_tokens", prompt + reply}};
  }

  OrderedJson Envelope(OrderedJson choices, const char* kind) const {
    return {{"id", job.id},
            {"object", kind},
            {"created", job.created},
            {"model", job.model->id},
            {"choices", std::move(choices)}};
  }

  OrderedJson Whole() const {
    OrderedJson choices = OrderedJson::array();
    for (size_t i = 0; i < replies.size(); ++i) {
      OrderedJson choice{{"index", i}};
      if (job.chat) {
        choice["message"] = {{"role", "assistant"}, {"content", replies[i].text}};
      } else {
        choice["text"] = replies[i].text;
      }
      choice["logprobs"] = Logprobs(replies[i], 0);
      choice["finish_reason"] = Reason(replies[i]);
      choices.push_back(std::move(choice));
    }
    OrderedJson whole = Envelope(std::move(choices), job.chat ? "chat.completion" : "text_completion");
    whole["usage"] = Usage();
    return whole;
  }

  // What is new in reply i since the last call.
  OrderedJson Event(size_t i) {
    const Reply& reply = replies[i];
    const std::string text = reply.text.substr(sent_[i]);
    OrderedJson choice{{"index", i}};
    if (job.chat) {
      OrderedJson delta = OrderedJson::object();
      if (sent_ids_[i] == 0) delta["role"] = "assistant";
      delta["content"] = text;
      choice["delta"] = std::move(delta);
    } else {
      choice["text"] = text;
    }
    choice["logprobs"] = Logprobs(reply, sent_ids_[i]);
    choice["finish_reason"] = Reason(reply);
    sent_[i] = reply.text.size();
    sent_ids_[i] = reply.ids.size();
    return Envelope(OrderedJson::array({std::move(choice)}), job.chat ? "chat.completion.chunk" : "text_completion");
  }

  void Stream(BodyWriter& writer, RequestState& state) {
    for (;;) {
      const std::vector<size_t> changed = replies.Next(writer);
      state.reply_tokens = Usage()["completion_tokens"].get<int64_t>();
      if (changed.empty()) break;
      for (const size_t i : changed) SendEvent(writer, Event(i));
    }
    if (!job.include_usage) return;
    OrderedJson last = Envelope(OrderedJson::array(), job.chat ? "chat.completion.chunk" : "text_completion");
    last["usage"] = Usage();
    SendEvent(writer, last);
  }

 private:
  ReplyPlan Plan(Context& context) const {
    const auto requests = std::make_shared<std::vector<EngineRequest>>();
    for (const Prompt& prompt : job.prompts) {
      const SamplingParams& params = job.sampling;
      const uint64_t seed = params.sampling_seed ? static_cast<uint64_t>(*params.sampling_seed) : context.NextSeed();
      for (int64_t j = 0; j < params.n; ++j) {
        requests->push_back(MakeRequest(params, *job.model, prompt, SeedOf(seed, j)));
        requests->back().top_logprobs = std::max<int64_t>(job.top_logprobs, 0);
      }
    }
    return {.count = requests->size(),
            .make = [requests](size_t i) { return std::move((*requests)[i]); },
            .rids = {job.id}};
  }

  static OrderedJson Reason(const Reply& reply) {
    if (!reply.finish) return nullptr;
    switch (reply.finish->reason) {
      case FinishReason::kStop:
        return "stop";
      case FinishReason::kLength:
        return "length";
      case FinishReason::kAbort:
        return "abort";
    }
    return nullptr;
  }

  std::string Spelled(TokenId id) const {
    return job.model->tokenizer->Decode(std::span(&id, 1), /*skip_special=*/false);
  }

  // Of the tokens from `first` on, in the form of the route.
  OrderedJson Logprobs(const Reply& reply, size_t first) const {
    if (job.top_logprobs < 0) return nullptr;
    return job.chat ? ChatLogprobs(reply, first) : CompletionLogprobs(reply, first);
  }

  OrderedJson ChatLogprobs(const Reply& reply, size_t first) const {
    const auto entry = [&](TokenId id, float logprob) -> OrderedJson {
      const std::string_view bytes = job.model->tokenizer->TokenBytes(id);
      return {
          {"token", Spelled(id)}, {"logprob", logprob}, {"bytes", std::vector<uint8_t>(bytes.begin(), bytes.end())}};
    };
    OrderedJson content = OrderedJson::array();
    for (size_t i = first; i < reply.ids.size(); ++i) {
      OrderedJson one = entry(reply.ids[i], reply.logprobs[i]);
      one["top_logprobs"] = OrderedJson::array();
      if (i < reply.top.size()) {
        for (const auto& [id, logprob] : reply.top[i]) one["top_logprobs"].push_back(entry(id, logprob));
      }
      content.push_back(std::move(one));
    }
    return {{"content", std::move(content)}};
  }

  OrderedJson CompletionLogprobs(const Reply& reply, size_t first) const {
    OrderedJson tokens = OrderedJson::array();
    OrderedJson values = OrderedJson::array();
    OrderedJson tops = OrderedJson::array();
    for (size_t i = first; i < reply.ids.size(); ++i) {
      tokens.push_back(Spelled(reply.ids[i]));
      values.push_back(reply.logprobs[i]);
      if (i >= reply.top.size()) continue;
      OrderedJson top = OrderedJson::object();
      for (const auto& [id, logprob] : reply.top[i]) top[Spelled(id)] = logprob;
      tops.push_back(std::move(top));
    }
    return {{"tokens", std::move(tokens)},
            {"token_logprobs", std::move(values)},
            {"top_logprobs", tops.empty() ? OrderedJson(nullptr) : std::move(tops)}};
  }

 public:
  OpenAiJob job;
  Replies replies;

 private:
  std::vector<size_t> sent_, sent_ids_;  // bytes and tokens that events have told
};

HttpResponse Run(Context& context, Call& call, OpenAiJob job) {
  RequestState& state = call.state;
  state.rid = job.id;
  state.model = job.model->id;
  for (const Prompt& prompt : job.prompts) state.prompt_tokens += prompt.rows_TD.size(0);
  const auto work = std::make_shared<OpenAiWork>(context, std::move(job), state);
  if (work->job.stream) {
    return EventStream([work, &state](BodyWriter& writer) { work->Stream(writer, state); });
  }
  work->replies.AwaitAll(call.client);
  const OrderedJson whole = work->Whole();
  state.reply_tokens = whole["usage"]["completion_tokens"].get<int64_t>();
  return JsonAnswer(whole);
}

}  // namespace

void AddOpenAiRoutes(RouteTable& routes, Context& context) {
  const auto add = [&](const char* path, const char* summary, OrderedJson body, OrderedJson answer, auto read) {
    Route route{.methods = {"POST"}, .path = path, .summary = summary};
    route.rule = Rule::kWork;
    route.errors = ErrorStyle::kOpenAi;
    route.body = std::move(body);
    route.answer = std::move(answer);
    route.run = [&context, read](Call& call) { return Run(context, call, read(call.request.body, context.models)); };
    routes.push_back(std::move(route));
  };
  add("/v1/chat/completions", "replies to a conversation, as OpenAI's clients read them", Schema<ChatRequest>(),
      ChatCompletionSchema(), ReadChat);
  add("/v1/completions", "continuations of a text", Schema<CompletionRequest>(), CompletionSchema(), ReadCompletion);
}

}  // namespace nla::serve
