// The real program on a tiny pair: cancellation, limits, the way out, and a Python client.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <future>
#include <thread>

#include "base/subprocess.h"
#include "nla/tiny_pair_testing.h"
#include "serve/client_testing.h"
#include "serve/collector_testing.h"
#include "serve/program_testing.h"

namespace nla::serve {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ServeSlow : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    tiny_ = std::make_unique<TinyPair>();
    tiny_->WriteHeldOut(40, false);
    tiny_->Assemble("pair", "av_known", "ar");
  }
  static void TearDownTestSuite() { tiny_.reset(); }

  static std::vector<std::string> Arguments(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"--pair", (*tiny_ / "pair").string(), "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // A request whose reply goes on to the context's end.
  static std::string Endless(bool stream, const std::string& headers = "") {
    const json body{{"text", "a"},
                    {"rid", "endless"},
                    {"stream", stream},
                    {"sampling_params", {{"max_new_tokens", 1000000}, {"ignore_eos", true}}}};
    return RequestText("POST", "/generate", body.dump(), headers);
  }
  // What /metrics says of a counter or gauge.
  static double Metric(int port, const std::string& name) {
    const std::string text = Ask(port, "GET", "/metrics").body;
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  static void AwaitMetric(int port, const std::string& name, double least) {
    while (Metric(port, name) < least) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  // Generation waits, so that what is asked stays unanswered.
  static void Pause(int port) {
    EXPECT_EQ(Ask(port, "POST", "/pause_generation", R"({"mode":"in_place"})").status, 200);
  }
  static void Continue(int port) { EXPECT_EQ(Ask(port, "POST", "/continue_generation", "{}").status, 200); }

  static constexpr const char* kAborted = "nla_replies_aborted_total{engine=\"verbalizer\"}";
  static constexpr const char* kWaiting = "nla_replies_waiting{engine=\"verbalizer\"}";
  static std::unique_ptr<TinyPair> tiny_;
};
std::unique_ptr<TinyPair> ServeSlow::tiny_;

TEST_F(ServeSlow, SaysThatItIsReadyAndEndsWhenAsked) {
  ServeProcess server(Arguments());
  EXPECT_EQ(server.ready()["url"], "http://127.0.0.1:" + std::to_string(server.port()));
  EXPECT_GT(server.ready()["pid"].get<int>(), 0);
  EXPECT_EQ(Ask(server.port(), "GET", "/health").status, 200);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
}

TEST_F(ServeSlow, ClientsThatVanishAbortTheirReplies) {
  ServeProcess server(Arguments());
  Pause(server.port());
  for (const bool stream : {false, true}) {
    const double before = Metric(server.port(), kAborted);
    TestClient client(server.port());
    client.Send(Endless(stream));
    AwaitMetric(server.port(), kWaiting, 1);
    client.Vanish();
    AwaitMetric(server.port(), kAborted, before + 1);
  }
  Continue(server.port());
  EXPECT_EQ(Ask(server.port(), "GET", "/health_generate").status, 200);
}

TEST_F(ServeSlow, AStreamEndsWithItsAbort) {
  ServeProcess server(Arguments());
  Pause(server.port());
  TestClient client(server.port());
  client.Send(Endless(true));
  AwaitMetric(server.port(), kWaiting, 1);
  EXPECT_EQ(Ask(server.port(), "POST", "/abort_request", R"({"rid":"endless"})").json()["success"], true);
  const Answer answer = client.Read();
  EXPECT_TRUE(answer.whole);
  const std::vector<std::string> events = answer.Events();
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(json::parse(events[events.size() - 2])["meta_info"]["finish_reason"]["type"], "abort");
}

TEST_F(ServeSlow, MoreRequestsThanTurnsAreTurnedAway) {
  ServeProcess server(Arguments({"--max-concurrent", "1", "--max-waiting", "1"}));
  Pause(server.port());
  TestClient works(server.port());
  TestClient waits(server.port());
  const std::string request =
      RequestText("POST", "/generate", R"({"text":"a","sampling_params":{"max_new_tokens":1}})");
  works.Send(request);
  AwaitMetric(server.port(), "nla_http_requests_working", 1);
  waits.Send(request);
  AwaitMetric(server.port(), "nla_http_requests_waiting", 1);
  TestClient third(server.port());
  third.Send(request);
  Answer answer = third.Read();
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.headers["retry-after"], "1");
  Continue(server.port());
  EXPECT_EQ(works.Read().status, 200);
  EXPECT_EQ(waits.Read().status, 200);
}

TEST_F(ServeSlow, LimitsKeysAndRates) {
  setenv("NLA_API_KEY", "from-the-environment", 1);
  ServeProcess server(Arguments({"--max-body", "0.01", "--requests-per-minute", "2"}));
  unsetenv("NLA_API_KEY");
  const std::string key = "Authorization: Bearer from-the-environment\r\n";
  EXPECT_EQ(Ask(server.port(), "GET", "/health").status, 200);
  EXPECT_EQ(Ask(server.port(), "GET", "/v1/models").status, 401);
  EXPECT_EQ(Ask(server.port(), "GET", "/v1/models", "", key).status, 200);
  EXPECT_EQ(Ask(server.port(), "POST", "/generate", std::string(20000, 'x'), key).status, 413);
  const std::string body = R"({"text":"a","sampling_params":{"max_new_tokens":1}})";
  EXPECT_EQ(Ask(server.port(), "POST", "/generate", body, key).status, 200);
  EXPECT_EQ(Ask(server.port(), "POST", "/generate", "{", key).status, 400);
  EXPECT_EQ(Ask(server.port(), "POST", "/generate", body, key).status, 429);
}

TEST_F(ServeSlow, RunningRequestsEndBeforeTheServerDoes) {
  ServeProcess server(Arguments({"--drain-seconds", "3600", "--access-log", (*tiny_ / "drain.log").string()}));
  Pause(server.port());
  TestClient client(server.port());
  client.Send(RequestText("POST", "/v1/nla/explain", R"({"text":"the ship"})"));
  AwaitMetric(server.port(), kWaiting, 1);
  TestClient spare(server.port());
  spare.Send("POST /continue_generation HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(spare.ReadUntil("Continue\r\n\r\n"), HasSubstr("HTTP/1.1 100"));  // it is let in
  server.Signal(SIGTERM);
  // The door closes; a request whose head was there is answered.
  while (true) {
    try {
      TestClient late(server.port());
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    } catch (const std::exception&) {
      break;
    }
  }
  spare.Send("{}");
  EXPECT_EQ(spare.Read().status, 200);
  const Answer answer = client.Read();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.json()["tokens"][0]["ok"], true);
  EXPECT_EQ(server.Wait(), 0);
  std::ifstream log(*tiny_ / "drain.log");
  bool seen = false;
  for (std::string line; std::getline(log, line);) seen = seen || json::parse(line)["path"] == "/v1/nla/explain";
  EXPECT_TRUE(seen);
}

TEST_F(ServeSlow, WhatDoesNotEndIsAborted) {
  ServeProcess server(Arguments({"--drain-seconds", "0"}));
  Pause(server.port());
  TestClient client(server.port());
  client.Send(RequestText("POST", "/generate", R"({"text":"a"})"));
  AwaitMetric(server.port(), kWaiting, 1);
  server.Signal(SIGINT);
  const Answer answer = client.Read();
  EXPECT_EQ(answer.json()["meta_info"]["finish_reason"]["message"], "the server is stopping");
  EXPECT_EQ(server.Wait(), 0);
}

TEST_F(ServeSlow, ManyClientsGetTheirOwnAnswers) {
  ServeProcess server(Arguments({"--max-running", "4"}));
  std::vector<std::future<void>> clients;
  for (int c = 0; c < 8; ++c) {
    clients.push_back(std::async(std::launch::async, [&, c] {
      for (int round = 0; round < 5; ++round) {
        const std::vector<float> vectors = RandomVectors(3, static_cast<uint64_t>(c * 10 + round));
        json rows = json::array();
        for (int i = 0; i < 3; ++i)
          rows.push_back(std::vector<float>(vectors.begin() + i * kTinyWidth, vectors.begin() + (i + 1) * kTinyWidth));
        const json answer = Ask(server.port(), "POST", "/v1/nla/verbalize", json{{"activations", rows}}.dump()).json();
        for (int i = 0; i < 3; ++i)
          EXPECT_EQ(answer["rows"][i]["explanation"], KnownExplanation(vectors.data() + i * kTinyWidth));
      }
    }));
  }
  for (std::future<void>& client : clients) client.get();
}

TEST_F(ServeSlow, APythonClientFindsWhatItExpects) {
  ServeProcess server(Arguments());
  const ProcessResult result = RunProcess({NLA_PYTHON, NLA_SOURCE_DIR "/tests/serve/check_server.py",
                                           std::to_string(server.port()), std::to_string(kTinyWidth)});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("all checks passed"));
}

TEST_F(ServeSlow, TheDocumentTellsTheTruth) {
  // Replies without end are short here, and as many as may be asked for.
  const TinyPair tiny;
  EditJson(tiny / "base/config.json", [](json& config) { config["max_position_embeddings"] = 96; });
  tiny.WriteHeldOut(20, false);
  tiny.Assemble("pair", "av", "ar");
  ServeProcess server({"--pair", (tiny / "pair").string(), "--threads", "2", "--dtype", "fp32", "--api-key", "open"});
  const ProcessResult result = RunProcess(
      {NLA_PYTHON, NLA_SOURCE_DIR "/tests/serve/check_openapi.py", server.ready()["url"].get<std::string>(), "open"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("all checks passed"));
}

TEST_F(ServeSlow, OpenTelemetrysMessagesReadTheTraces) {
  TestCollector collector;
  ServeProcess server(Arguments({"--otlp", collector.url()}));
  EXPECT_EQ(Ask(server.port(), "POST", "/generate", R"({"text":"a"})",
                "traceparent: 00-" + std::string(32, '1') + "-" + std::string(16, '2') + "-01\r\n")
                .status,
            200);
  EXPECT_EQ(Ask(server.port(), "POST", "/v1/chat/completions", R"({"messages":3})").status, 400);
  server.Signal(SIGTERM);  // what waits leaves before the end
  EXPECT_EQ(server.Wait(), 0);
  const std::filesystem::path file = *tiny_ / "traces.jsonl";
  std::ofstream lines(file);
  for (const HttpRequest& request : collector.requests()) lines << request.body << "\n";
  lines.close();
  const ProcessResult result = RunProcess({NLA_PYTHON, NLA_SOURCE_DIR "/tests/serve/check_otlp.py", file.string()});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  for (const char* name : {"POST /generate\n", "queue\n", "prefill\n", "decode\n", "POST /v1/chat/completions\n"}) {
    EXPECT_THAT(result.output, HasSubstr(name));
  }
}

TEST_F(ServeSlow, WrongOptionsAreSaidBeforeAnythingIsLoaded) {
  const auto code = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {NLA_PROGRAM, "serve"});
    return RunProcess(arguments).exit_code;
  };
  EXPECT_EQ(code({"--port", "0"}), 2);
  EXPECT_EQ(code({"--port", "0", "--model", "a", "--pair", "b"}), 2);
  EXPECT_EQ(code({"--port", "70000", "--model", "a"}), 2);
  EXPECT_EQ(code({"--port", "0", "--model", "a", "--otlp", "collector:4318"}), 2);
  EXPECT_EQ(code({"--port", "0", "--model", "/no/such/model"}), 1);
  EXPECT_EQ(code({"--port", "0", "--host", "192.0.2.1", "--model", "a"}), 1);
}

}  // namespace
}  // namespace nla::serve
