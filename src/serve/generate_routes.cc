// POST and PUT /generate.
#include "serve/answer_schemas.h"
#include "serve/generate_answer.h"
#include "serve/generate_request.h"
#include "serve/routes.h"

namespace nla::serve {
namespace {

// A job and its replies, from the parsed body to the last byte.
struct Running {
  Running(Context& context, ServedModel& served, GenerateJob given, RequestState& state)
      : model(served),
        job(std::move(given)),
        replies({*served.engine, context.metrics, context.active, state.replies}, Plan(context)) {}

  ReplyPlan Plan(Context& context) const {
    const auto requests = std::make_shared<std::vector<EngineRequest>>();
    for (size_t i = 0; i < job.prompts.size(); ++i) {
      const SamplingParams& params = job.sampling[i];
      const uint64_t seed = params.sampling_seed ? static_cast<uint64_t>(*params.sampling_seed) : context.NextSeed();
      for (int64_t j = 0; j < params.n; ++j) {
        requests->push_back(MakeRequest(params, model, job.prompts[i], SeedOf(seed, j)));
        if (job.request.return_logprob) requests->back().top_logprobs = job.request.top_logprobs_num;
        if (job.request.prompt_logprobs()) requests->back().prompt_logprobs_from = job.request.logprob_start_len;
      }
    }
    return {.count = requests->size(),
            .make = [requests](size_t i) { return std::move((*requests)[i]); },
            .rids = job.rids};
  }

  OrderedJson Answer(size_t i) const { return GenerateAnswer(job, model, i, replies[i]); }
  int64_t Tokens() const {
    int64_t tokens = 0;
    for (size_t i = 0; i < replies.size(); ++i) tokens += static_cast<int64_t>(replies[i].ids.size());
    return tokens;
  }

  ServedModel& model;
  GenerateJob job;
  Replies replies;
};

HttpResponse Generate(Context& context, Call& call) {
  ServedModel& model = context.models.main();
  GenerateJob job = ReadGenerate(call.request.body, model);
  RequestState& state = call.state;
  state.rid = job.rids[0];
  state.model = model.id;
  for (const Prompt& prompt : job.prompts) state.prompt_tokens += prompt.rows_TD.size(0);
  const auto running = std::make_shared<Running>(context, model, std::move(job), state);
  if (running->job.request.stream) {
    return EventStream([running, &state](BodyWriter& writer) {
      for (;;) {
        const std::vector<size_t> changed = running->replies.Next(writer);
        state.reply_tokens = running->Tokens();
        if (changed.empty()) return;
        for (const size_t i : changed) {
          OrderedJson event = running->Answer(i);
          if (running->job.many()) event["index"] = i;
          SendEvent(writer, event);
        }
      }
    });
  }
  running->replies.AwaitAll(call.client);
  state.reply_tokens = running->Tokens();
  if (!running->job.many()) return JsonAnswer(running->Answer(0));
  OrderedJson answers = OrderedJson::array();
  for (size_t i = 0; i < running->replies.size(); ++i) answers.push_back(running->Answer(i));
  return JsonAnswer(answers);
}

}  // namespace

void AddGenerateRoutes(RouteTable& routes, Context& context) {
  GenerateRequest defaults;
  SamplingParams sampling;
  OrderedJson schema = SchemaOf(Fields(defaults));
  const OrderedJson parameters = SchemaOf(Fields(sampling));
  schema["properties"]["sampling_params"]["anyOf"] =
      OrderedJson::array({parameters, {{"type", "array"}, {"items", parameters}}, {{"type", "null"}}});
  Route route{.methods = {"POST", "PUT"},
              .path = "/generate",
              .summary = "replies of the verbalizer (or of the model that --model names), as SGLang gives them"};
  route.rule = Rule::kWork;
  route.body = std::move(schema);
  route.answer = GenerateSchema();
  route.run = [&context](Call& call) { return Generate(context, call); };
  routes.push_back(std::move(route));
}

}  // namespace nla::serve
