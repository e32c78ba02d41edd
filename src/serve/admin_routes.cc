// What operators, load balancers and trainers ask: health, facts, pausing, new weights, metrics.
#include <fmt/format.h>

#include "base/fail.h"
#include "serve/answer_schemas.h"
#include "serve/generate_request.h"
#include "serve/http_error.h"
#include "serve/routes.h"

namespace nla::serve {
namespace {

HttpResponse ModelInfo(Context& context) {
  const ServedModel& model = context.models.main();
  const std::string path = model.Directory().string();
  return JsonAnswer({{"model_path", path},
                     {"tokenizer_path", path},
                     {"is_generation", true},
                     {"weight_version", model.Version()},
                     {"model_type", model.decoder->spec().model_type},
                     {"architectures", OrderedJson::array({model.decoder->spec().model_type})}});
}

HttpResponse ServerInfo(Context& context) {
  const ServedModel& model = context.models.main();
  OrderedJson info = context.options;
  info["version"] = NLA_VERSION;
  info["model_path"] = model.Directory().string();
  info["served_model_name"] = model.id;
  info["weight_version"] = model.Version();
  if (const std::string hash = model.Hash(); !hash.empty()) info["weights_hash"] = hash;
  info["d_model"] = model.width();
  info["max_total_tokens"] = model.engine->max_tokens();
  info["input_embeds_formats"] = {"input_embeds", "input_embeds_b64_bf16", "input_embeds_bytes"};
  info["status"] = model.engine->paused() ? "paused" : "ready";
  OrderedJson engines = OrderedJson::array();
  for (const ServedModel* one : context.models.all()) {
    const EngineCounts counts = one->engine->counts();
    engines.push_back({{"model", one->id},
                       {"kind", one->kind},
                       {"running", counts.running},
                       {"waiting", counts.waiting},
                       {"kv_tokens_used", counts.kv_tokens_used},
                       {"kv_tokens_total", counts.kv_tokens_total}});
  }
  info["engines"] = std::move(engines);
  return JsonAnswer(info);
}

HttpResponse ModelList(Context& context) {
  OrderedJson list = OrderedJson::array();
  for (const ServedModel* model : context.models.all()) {
    list.push_back({{"id", model->id},
                    {"object", "model"},
                    {"created", model->started},
                    {"owned_by", "nla"},
                    {"root", model->Directory().string()},
                    {"max_model_len", model->engine->max_tokens()}});
  }
  return JsonAnswer({{"object", "list"}, {"data", std::move(list)}});
}

// One greedy token: says whether the whole way through the engine works.
HttpResponse HealthGenerate(Context& context, Call& call) {
  const ServedModel& model = context.models.main();
  if (model.engine->paused()) return {.status = 503, .body = ValueErrorBody("the engine is paused")};
  SamplingParams params;
  params.max_new_tokens = 1;
  params.temperature = 0;
  const Prompt prompt = PromptOfIds(model, {0}, "prompt");
  Replies replies({*model.engine, context.metrics, context.active, call.state.replies},
                  {.count = 1, .make = [&](size_t) { return MakeRequest(params, model, prompt, 0); }});
  replies.AwaitAll(call.client);
  if (replies[0].finish->reason == FinishReason::kAbort) {
    return {.status = 503, .body = ValueErrorBody(replies[0].finish->message)};
  }
  return {};
}

HttpResponse FlushCache(Context& context) {
  for (const ServedModel* model : context.models.all()) {
    if (!model->engine->FlushCache()) {
      throw HttpError(400, "the cache is in use: requests are running. Pause with mode \"abort\" first, or wait");
    }
  }
  return {.content_type = "text/plain; charset=utf-8", .body = "Cache flushed.\n"};
}

struct UpdateRequest {
  std::string model_path;
  std::string weight_version;
  bool abort_all_requests = false;
  bool flush_cache = true;
  std::string load_format = "auto";
};

FieldTable Fields(UpdateRequest& r) {
  return {
      {"model_path", &r.model_path, "checkpoint directory on the server's machine", {.required = true}},
      {"weight_version", &r.weight_version, "name of the new weights in answers; absent: the old name stays"},
      {"abort_all_requests", &r.abort_all_requests, "abort what runs first; else it goes on with the new weights"},
      {"flush_cache", &r.flush_cache, "true alone: keys and values of old weights are never kept"},
      {"load_format", &r.load_format, "how weights are stored", {.choices = {"auto", "safetensors"}}},
      {"is_async", Refused{"The answer comes when the weights are in place"}, "answer before the end"},
      {"torch_empty_cache", Refused{"There is no such cache"}, "give back device memory"},
      {"keep_pause", Refused{"Pausing is /pause_generation's"}, "stay paused"},
      {"recapture_cuda_graph", Refused{"There is no such graph"}, "capture again"},
      {"token_step", Refused{"Use weight_version"}, "step of the trainer"},
  };
}

HttpResponse UpdateWeights(Context& context, Call& call) {
  UpdateRequest request;
  const FieldTable table = Fields(request);
  RequestBody body = ParseFor(table, call.request.body);
  const std::set<std::string> given = ReadBody(table, body);
  if (!request.flush_cache) {
    FailUsage({.where = "flush_cache", .what = "is not supported", .found = "false", .wanted = "true"});
  }
  const auto answer = [](bool success, const std::string& message, int64_t paused) {
    return JsonAnswer({{"success", success}, {"message", message}, {"num_paused_requests", paused}},
                      success ? 200 : 400);
  };
  EngineThread& engine = *context.models.main().engine;
  try {
    if (request.abort_all_requests) engine.AbortAll("the weights are being replaced");
    const int64_t running = context.active.count();
    const std::optional<std::string> version =
        given.contains("weight_version") ? std::optional(request.weight_version) : std::nullopt;
    context.models.UpdateWeights(request.model_path, version);
    return answer(true, fmt::format("weights of {} are at work", request.model_path), running);
  } catch (const std::exception& error) {
    return answer(false, error.what(), 0);
  }
}

struct PauseRequest {
  std::string mode = "abort";
};

FieldTable Fields(PauseRequest& r) {
  return {{"mode",
           &r.mode,
           "what becomes of running requests: aborted; begun again afterwards; or going on where they were",
           {.choices = {"abort", "retract", "in_place"}}}};
}

template <typename Request>
Request Read(const Call& call) {
  Request request;
  const FieldTable table = Fields(request);
  RequestBody body = ParseFor(table, call.request.body.empty() ? std::string_view("{}") : call.request.body);
  ReadBody(table, body);
  return request;
}

HttpResponse Pause(Context& context, Call& call) {
  const auto request = Read<PauseRequest>(call);
  const PauseMode mode = request.mode == "abort"     ? PauseMode::kAbort
                         : request.mode == "retract" ? PauseMode::kRetract
                                                     : PauseMode::kInPlace;
  int64_t halted = 0;
  for (const ServedModel* model : context.models.all()) halted += model->engine->Pause(mode);
  return JsonAnswer({{"status", "ok"}, {"message", "generation is paused"}, {"num_paused_requests", halted}});
}

// Of its body, which has no field, it is only asked that it be one.
HttpResponse Continue(Context& context, Call& call) {
  if (!call.request.body.empty()) ParseBody(call.request.body, {});
  for (const ServedModel* model : context.models.all()) model->engine->Continue();
  return JsonAnswer({{"status", "ok"}, {"message", "generation goes on"}});
}

struct AbortRequest {
  std::string rid;
  bool abort_all = false;
};

FieldTable Fields(AbortRequest& r) {
  return {{"rid", &r.rid, "the request's name, whole"}, {"abort_all", &r.abort_all, "abort every request"}};
}

HttpResponse Abort(Context& context, Call& call) {
  const auto request = Read<AbortRequest>(call);
  if (request.abort_all) {
    for (const ServedModel* model : context.models.all()) model->engine->AbortAll("aborted by /abort_request");
    return JsonAnswer({{"success", true}});
  }
  if (request.rid.empty()) FailUsage({.where = "rid", .what = "is missing", .wanted = "a rid, or abort_all = true"});
  // It may have ended a moment ago: not an error of the one who asks.
  return JsonAnswer({{"success", context.active.Abort(request.rid, "aborted by /abort_request")}});
}

HttpResponse Metrics(Context& context) {
  std::vector<EngineReading> engines;
  for (const ServedModel* model : context.models.all()) engines.push_back({model->kind, model->engine->counts()});
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = context.metrics.Text(engines, context.admission.working(), context.admission.waiting())};
}

}  // namespace

void AddAdminRoutes(RouteTable& routes, Context& context) {
  const auto get = [&](const char* path, const char* summary, const OrderedJson& answer, auto run) {
    routes.push_back(
        {.methods = {"GET"}, .path = path, .summary = summary, .answer = answer, .run = [&context, run](Call&) {
           return run(context);
         }});
  };
  const auto post = [&](const char* path, const char* summary, const OrderedJson& body, auto run) -> Route& {
    routes.push_back(
        {.methods = {"POST"}, .path = path, .summary = summary, .body = body, .run = [&context, run](Call& call) {
           return run(context, call);
         }});
    return routes.back();
  };
  // The server itself answers 503 while it starts or stops.
  get("/health", "200 while requests are taken", nullptr, [](Context&) { return HttpResponse{}; });
  routes.back().rule = Rule::kOpen;
  routes.push_back({.methods = {"GET"},
                    .path = "/health_generate",
                    .summary = "200 when a token can be generated",
                    .run = [&context](Call& call) { return HealthGenerate(context, call); }});
  for (const char* path : {"/model_info", "/get_model_info"})
    get(path, "the model that /generate speaks to", ModelInfoSchema(), ModelInfo);
  for (const char* path : {"/server_info", "/get_server_info"})
    get(path, "options, transports and load", ServerInfoSchema(), ServerInfo);
  get("/v1/models", "the models by their names", ModelListSchema(), ModelList);
  get("/metrics", "counters and histograms for Prometheus", nullptr, Metrics);
  routes.back().answer_type = "text/plain";
  routes.push_back({.methods = {"GET", "POST"},
                    .path = "/flush_cache",
                    .summary = "forget the keys and values of ended requests",
                    .answer_type = "text/plain",
                    .run = [&context](Call&) { return FlushCache(context); }});
  Route& update = post("/update_weights_from_disk", "new weights for the model that /generate speaks to",
                       Schema<UpdateRequest>(), UpdateWeights);
  update.answer = WeightUpdateSchema();
  update.refusal = WeightUpdateSchema();
  post("/pause_generation", "let requests wait", Schema<PauseRequest>(), Pause).answer = PauseSchema();
  post("/continue_generation", "let them go on", OrderedJson{{"type", "object"}}, Continue).answer = ContinueSchema();
  post("/abort_request", "abort a request by its rid, or all", Schema<AbortRequest>(), Abort).answer = AbortSchema();
}

}  // namespace nla::serve
