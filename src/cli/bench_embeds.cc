// A server of this process reads the body, parses it, checks the rows and makes their keys, and answers. It is timed
// from the request's head on, and by the client, which shares the machine, from its first byte to the answer. The peer
// is what any Python server does first: json.loads of such a body, and a tensor of its lists.
#include "cli/bench_embeds.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/BFloat16.h>
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/fail.h"
#include "base/random.h"
#include "cli/bench_rows.h"
#include "engine/request_checks.h"
#include "engine/row_keys.h"
#include "net/http.h"
#include "serve/generate_request.h"
#include "serve/http_server.h"

namespace nla::cli {
namespace {

struct BenchEmbedsArguments {
  int64_t rows = 125;
  int64_t width = 3584;
  int64_t requests = 40;
  int64_t rounds = 3;
  std::string python = ".venv/bin/python";
  std::string peers = "bench/peers";
};

// Goes the way of POST /generate up to the engine's queue.
class RowReader : public serve::HttpHandler {
 public:
  explicit RowReader(const BenchEmbedsArguments& options) : options_(options) {}

  std::optional<serve::HttpResponse> Admit(const serve::HttpRequest& /*head*/, serve::RequestState& /*state*/,
                                           const serve::ClientLink& /*client*/) override {
    begun_ = Clock::now();
    return std::nullopt;
  }
  serve::HttpResponse Handle(const serve::HttpRequest& request, serve::RequestState& /*state*/,
                             const serve::ClientLink& /*client*/) override {
    serve::GenerateRequest fields;
    const serve::FieldTable table = serve::Fields(fields);
    serve::RequestBody body = serve::ParseFor(table, request.body);
    serve::ReadBody(table, body);
    std::vector<float>& values = fields.input_embeds.values;
    NLA_CHECK(static_cast<int64_t>(values.size()) == options_.rows * options_.width);
    const EngineRequest prompt{.prompt_TD = at::from_blob(values.data(), {options_.rows, options_.width}, at::kFloat)};
    CheckRequest(prompt, {options_.width, 1, options_.rows});
    const size_t keys = KeysOf(prompt.prompt_TD).size();
    milliseconds_.push_back(1000 * SecondsSince(begun_));
    return {.body = fmt::format("{{\"rows\":{}}}", keys)};
  }
  void Ended(const serve::HttpRequest& /*request*/, const serve::RequestState& /*state*/,
             const Outcome& /*outcome*/) noexcept override {}

  // Of the requests since the last call; to be called when they have been answered.
  std::vector<double> TakeMilliseconds() { return std::exchange(milliseconds_, {}); }

 private:
  const BenchEmbedsArguments& options_;
  Clock::time_point begun_;
  std::vector<double> milliseconds_;
};

// Rows as a Python client writes them: 64-bit numbers in the fewest digits that give them back. They are those of a
// bf16 table, but for one, the activation.
std::string EmbedsBody(const BenchEmbedsArguments& options) {
  CounterRandom random(1, 0);
  std::string body = R"({"sampling_params":{"max_new_tokens":1},"input_embeds":[)";
  for (int64_t row = 0; row < options.rows; ++row) {
    body += row == 0 ? "[" : ",[";
    for (int64_t i = 0; i < options.width; ++i) {
      const float value = random.Uniform() * 0.1F - 0.05F;
      const float of_row = row == options.rows / 2 ? value : static_cast<float>(c10::BFloat16(value));
      body += fmt::format("{}{}", i == 0 ? "" : ", ", static_cast<double>(of_row));
    }
    body += "]";
  }
  return body + "]}";
}

// Milliseconds of the requests, one after another over one connection.
std::vector<double> TimeRequests(const std::string& url, const std::string& body, int64_t count) {
  HttpClient client;
  std::vector<double> milliseconds;
  for (int64_t i = 0; i < count; ++i) {
    const HttpRequest request{.url = url + "/generate", .body = body};
    const Clock::time_point begun = Clock::now();
    const HttpResponse response = client.TryOnce(request);
    milliseconds.push_back(1000 * SecondsSince(begun));
    if (!response.ok()) Fail({.where = url, .what = response.error.empty() ? response.body : response.error});
  }
  return milliseconds;
}

void RunEmbeds(const BenchEmbedsArguments& options, const CommonOptions& common) {
  at::set_num_threads(1);  // keys are the engine's thread's to make; its helpers would spin beside the reading
  RowReader reader(options);
  serve::HttpServer server({.port = 0}, reader);
  const std::string body = EmbedsBody(options);
  std::vector<double> served, whole, peer;
  for (int64_t round = 0; round < options.rounds; ++round) {
    whole.push_back(Median(TimeRequests(server.url(), body, options.requests)));
    served.push_back(Median(reader.TakeMilliseconds()));
    const BenchRun run =
        RunBenchCommand({options.python, options.peers + "/embeds_peer.py", "--rows", std::to_string(options.rows),
                         "--width", std::to_string(options.width), "--requests", std::to_string(options.requests)});
    peer.push_back(BenchNumber(run, "milliseconds"));
  }
  const std::string name = fmt::format("input_embeds [{}, {}]", options.rows, options.width);
  const char* const of_peer = "Python, json.loads and torch.tensor";
  PrintBenchRows({{name, Median(served), Median(peer), of_peer, "ms"},
                  {name + ", by the client", Median(whole), Median(peer), of_peer, "ms"}},
                 common, {{"rounds", options.rounds}, {"body_bytes", body.size()}});
}

}  // namespace

void AddBenchEmbeds(Command bench, CommonOptions& common) {
  auto options = std::make_shared<BenchEmbedsArguments>();
  Command command = AddCommand(bench, common, "embeds", "Receiving a prompt of embedding rows as JSON, beside Python",
                               "nla bench embeds --rows 125 --width 3584");
  command.AddOption("--rows", options->rows, "rows of the prompt").ShowDefault().Positive();
  command.AddOption("--width", options->width, "numbers of a row").ShowDefault().Positive();
  command.AddOption("--requests", options->requests, "requests of a round, of which the median is taken")
      .ShowDefault()
      .Positive();
  AddPeerOptions(command, options->rounds, options->python, options->peers);
  command.OnRun([=, &common] { RunEmbeds(*options, common); });
}

}  // namespace nla::cli
