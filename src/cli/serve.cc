// `nla serve`: a pair, a verbalizer or a language model behind HTTP.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "base/fail.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/pair_options.h"
#include "net/hub.h"
#include "serve/run_server.h"

namespace nla::cli {
namespace {

struct ServeArguments {
  PairArguments pair;
  std::string model;
  std::string quant = "none";
  serve::ServerOptions server;
  double max_body_mib = 64;
  std::string otlp;
  EngineOptions engine;
};

// Exactly one of --pair (or --av with --ar), --av and --model.
serve::ModelChoice Choose(const ServeArguments& options, at::ScalarType compute) {
  serve::ModelChoice choice;
  choice.compute = compute;
  choice.packing = PackingOf(options.quant, compute);
  choice.engine = options.engine;
  const PairArguments& pair = options.pair;
  const bool sides = !pair.pair.empty() || !pair.critic.empty();
  if (!options.model.empty()) {
    if (sides || !pair.actor.empty() || !pair.base.empty()) {
      FailUsage({.where = "--model", .what = "stands alone: --pair, --av, --ar and --base belong to a pair"});
    }
    choice.model = ResolveModel(options.model);
  } else if (sides) {
    choice.pair = Locate(pair);
  } else if (!pair.actor.empty()) {
    choice.actor = LocateActor(pair, compute);
  } else {
    FailUsage({.where = "serve", .what = "nothing to serve", .wanted = "--pair DIR, --av DIR or --model DIR"});
  }
  return choice;
}

nlohmann::ordered_json Shown(const ServeArguments& options, const CommonOptions& common) {
  const serve::ServerOptions& server = options.server;
  return {{"host", server.http.host},
          {"max_body", server.http.limits.max_body},
          {"max_concurrent", server.service.admission.max_concurrent},
          {"max_waiting", server.service.admission.max_waiting},
          {"max_running_requests", options.engine.max_running},
          {"chunked_prefill_size", options.engine.prefill_rows},
          {"dtype", common.dtype},
          {"quant", options.quant},
          {"random_seed", common.seed},
          {"api_key_wanted", !server.service.admission.api_key.empty()}};
}

void Run(ServeArguments options, const CommonOptions& common) {
  const at::ScalarType compute = SetUpCompute(common);
  serve::ServerOptions& server = options.server;
  server.seed = common.seed;
  server.http.limits.max_body = static_cast<uint64_t>(options.max_body_mib * (1 << 20));
  std::string& key = server.service.admission.api_key;
  if (const char* from_environment = std::getenv("NLA_API_KEY"); key.empty() && from_environment != nullptr) {
    key = from_environment;
  }
  server.service.traces.settings = serve::ReadTraceSettings(options.otlp, [](const char* n) { return std::getenv(n); });
  server.shown = Shown(options, common);
  serve::RunServer(
      server, [&] { return Choose(options, compute); },
      [&](const serve::HttpServer& http, serve::Models& models) {
        if (common.json) {
          PrintJson({{"url", http.url()}, {"port", http.port()}, {"pid", getpid()}, {"model", models.main().id}});
        } else {
          fmt::print("serving {} on {}\n", models.main().id, http.url());
        }
        std::fflush(stdout);
      });
}

void AddDoorOptions(Command command, ServeArguments& options) {
  serve::ServerOptions& server = options.server;
  serve::AdmissionOptions& admission = server.service.admission;
  const char* const door = "How much may be asked";
  command.AddOption("--host", server.http.host, "address to listen on; 0.0.0.0 lets other machines in")
      .ShowDefault()
      .TypeName("HOST");
  command.AddOption("--port", server.http.port, "port to listen on; 0 takes a free one and prints it")
      .ShowDefault()
      .Between(0, 65535)
      .TypeName("N");
  command
      .AddOption("--api-key", admission.api_key,
                 "wanted as \"Authorization: Bearer KEY\"; NLA_API_KEY keeps it out of the list of processes")
      .TypeName("KEY");
  command.AddOption("--max-body", options.max_body_mib, "largest body of a request, in MiB")
      .ShowDefault()
      .Positive()
      .Group(door);
  command.AddOption("--max-concurrent", admission.max_concurrent, "requests that are worked on at the same time")
      .ShowDefault()
      .Positive()
      .Group(door);
  command.AddOption("--max-waiting", admission.max_waiting, "requests that may wait for that; more are answered 429")
      .ShowDefault()
      .NotNegative()
      .Group(door);
  command
      .AddOption("--requests-per-minute", admission.requests_per_minute,
                 "of one client address; more are answered 429; 0: no limit")
      .ShowDefault()
      .NotNegative()
      .Group(door);
  command.AddOption("--max-connections", server.http.max_connections, "open connections; more are answered 503")
      .ShowDefault()
      .Positive()
      .Group(door);
}

void AddTimeOptions(Command command, ServeArguments& options) {
  serve::HttpLimits& limits = options.server.http.limits;
  const char* const times = "Times and logs";
  const auto seconds = [&](const char* name, double& target, const char* help) {
    command.AddOption(name, target, help).ShowDefault().Between(0.0, 1e6).Group(times);
  };
  seconds("--head-seconds", limits.head_seconds, "for a request's head to arrive");
  seconds("--body-seconds", limits.body_seconds, "for its body to arrive, and a second more for each 256 KiB");
  seconds("--write-seconds", limits.write_seconds, "for a piece of an answer to be taken, and the same beside");
  seconds("--keep-alive-seconds", limits.keep_alive_seconds, "that a connection may be idle");
  seconds("--drain-seconds", options.server.drain_seconds, "that running requests have after SIGTERM or Ctrl-C");
  command
      .AddOption("--access-log", options.server.service.access_log,
                 "append one JSON line a request to this file; - is stderr")
      .TypeName("FILE")
      .Group(times);
  command
      .AddOption("--otlp", options.otlp,
                 "send a trace of each request to this OpenTelemetry collector, as OTLP/HTTP with JSON; "
                 "OTEL_EXPORTER_OTLP_ENDPOINT and its like are read as well")
      .TypeName("URL")
      .Group(times);
}

void AddEngineOptions(Command command, ServeArguments& options) {
  const char* const engine = "The engine";
  command.AddOption("--max-running", options.engine.max_running, "replies that are written at the same time")
      .ShowDefault()
      .Positive()
      .Group(engine);
  command.AddOption("--kv-tokens", options.engine.kv_tokens, "tokens whose keys and values are kept; 0: as needed")
      .ShowDefault()
      .NotNegative()
      .Group(engine);
  command.AddOption("--prefill-rows", options.engine.prefill_rows, "prompt rows computed in a step beside replies")
      .ShowDefault()
      .Positive()
      .Group(engine);
  AddQuantOption(command, options.quant).Group(engine);
}

}  // namespace

void AddServe(Command root, CommonOptions& common) {
  auto options = std::make_shared<ServeArguments>();
  Command command =
      AddCommand(root, common, "serve", "Answer over HTTP: explanations, replies, scores (docs/serving.md)",
                 "nla serve --pair demo/pair --port 30000\n"
                 "  curl -s localhost:30000/v1/nla/explain -d '{\"text\": \"The ship left at dawn.\"}'");
  AddPairOptions(command, options->pair);
  command.AddOption("--model", options->model, "a language model alone, instead of a pair");
  AddDoorOptions(command, *options);
  AddTimeOptions(command, *options);
  AddEngineOptions(command, *options);
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
