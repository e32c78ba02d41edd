// The exporter before collectors that take, refuse, dawdle or are not there; and the traces of a server's requests.
#include "serve/trace_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "serve/client_testing.h"
#include "serve/collector_testing.h"
#include "serve/service_testing.h"

namespace nla::serve {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kDead = "http://127.0.0.1:1/v1/traces";  // nothing listens there

class TraceExporterTest : public testing::Test {
 protected:
  TraceExporterOptions Options(const std::string& url) {
    TraceExporterOptions options;
    options.settings.url = url;
    options.settings.headers = {{"X-Key", "k"}};
    options.settings.resource = {{"service.name", "test"}};
    options.gather_seconds = 0.01;
    options.first_wait = 0.01;
    return options;
  }
  std::string CollectorUrl() const { return collector_.url() + "/v1/traces"; }
  TraceExporter::Count Count() {
    return [this](int64_t sent, int64_t dropped) {
      sent_ += sent;
      dropped_ += dropped;
    };
  }
  static std::vector<Span> Spans(size_t count) {
    std::vector<Span> spans(count);
    for (Span& span : spans) span = {.trace_id = NewTraceId(), .id = NewSpanId(), .name = "test"};
    return spans;
  }
  void AwaitDropped(int64_t count) const {
    for (int i = 0; i < 2000 && dropped_ < count; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(dropped_, count);
  }

  TestCollector collector_;
  std::atomic<int64_t> sent_ = 0, dropped_ = 0;
};

TEST_F(TraceExporterTest, SendsInBatches) {
  TraceExporterOptions options = Options(CollectorUrl());
  options.most_at_once = 4;
  options.gather_seconds = 60;  // full batches do not wait
  {
    TraceExporter exporter(options, Count());
    for (int i = 0; i < 5; ++i) exporter.Add(Spans(2));
    EXPECT_EQ(collector_.AwaitSpans(8).size(), 8U);
  }
  EXPECT_EQ(collector_.AwaitSpans(10).size(), 10U);  // the end sends what is left
  EXPECT_EQ(sent_, 10);
  EXPECT_EQ(dropped_, 0);
  const std::vector<HttpRequest> requests = collector_.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].path, "/v1/traces");
  EXPECT_EQ(requests[0].Header("Content-Type"), "application/json");
  EXPECT_EQ(requests[0].Header("X-Key"), "k");
  EXPECT_EQ(AttributesOf(json::parse(requests[0].body)["resourceSpans"][0]["resource"])["service.name"], "test");
}

TEST_F(TraceExporterTest, TriesAgainWhatMayYetBeTaken) {
  collector_.Answer(503);
  TraceExporterOptions options = Options(CollectorUrl());
  options.retries = 1000;
  options.first_wait = 0.001;
  TraceExporter exporter(options, Count());
  exporter.Add(Spans(3));
  while (collector_.requests().size() < 3) std::this_thread::yield();
  collector_.Answer(200);
  EXPECT_EQ(collector_.AwaitSpans(3).size(), 3U);
}

TEST_F(TraceExporterTest, DropsWhatIsRefused) {
  collector_.Answer(400);
  TraceExporter exporter(Options(CollectorUrl()), Count());
  exporter.Add(Spans(3));
  AwaitDropped(3);
  EXPECT_EQ(collector_.requests().size(), 1U);
  collector_.Answer(200, R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"no"}})");
  exporter.Add(Spans(5));
  AwaitDropped(5);
  EXPECT_EQ(sent_, 3);
}

TEST_F(TraceExporterTest, ADeadCollectorCostsSpansAlone) {
  testing::internal::CaptureStdout();
  {
    TraceExporterOptions options = Options(kDead);
    options.retries = 1;
    options.most_waiting = 10;
    TraceExporter exporter(options, Count());
    const Clock::time_point begun = Clock::now();
    for (int i = 0; i < 1000; ++i) exporter.Add(Spans(4));
    EXPECT_LT(SecondsSince(begun), 1);
  }
  EXPECT_EQ(sent_, 0);
  EXPECT_EQ(dropped_, 4000);
  const std::string log = testing::internal::GetCapturedStdout();
  const size_t first = log.find("traces for http://127.0.0.1:1/v1/traces are dropped");
  EXPECT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find("are dropped", first + 60), std::string::npos) << log;
}

TEST_F(TraceExporterTest, ASlowCollectorDoesNotHoldTheEnd) {
  collector_.Answer(200, "{}", /*seconds=*/30);
  TraceExporterOptions options = Options(CollectorUrl());
  options.flush_seconds = 0.1;
  const Clock::time_point begun = Clock::now();
  {
    TraceExporter exporter(options, Count());
    exporter.Add(Spans(3));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    exporter.Add(Spans(3));
  }
  EXPECT_LT(SecondsSince(begun), 5);  // libcurl asks whether to give up once a second
  EXPECT_EQ(dropped_, 6);
}

TEST_F(TraceExporterTest, ATryEndsAfterItsTime) {
  collector_.Answer(200, "{}", /*seconds=*/30);
  TraceExporterOptions options = Options(CollectorUrl());
  options.settings.timeout_seconds = 0.1;
  TraceExporter exporter(options, Count());
  exporter.Add(Spans(1));
  AwaitDropped(1);
}

// Requests to a server over sockets, whose traces go to the collector.
class ServerTraceTest : public TraceExporterTest {
 protected:
  ServerTraceTest() {
    ModelChoice choice;
    choice.pair = tiny_.Assemble("pair", "av_known", "ar");
    service_ = std::make_unique<TestService>(choice, ServiceOptions{.traces = Options(CollectorUrl())});
    HttpOptions options;
    options.port = 0;
    server_ = std::make_unique<HttpServer>(options, service_->service());
  }
  ~ServerTraceTest() override { server_.reset(); }
  int port() const { return server_->port(); }

  TinyPair tiny_;
  std::unique_ptr<TestService> service_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(ServerTraceTest, ARequestIsASpanWithItsParts) {
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  const std::string headers =
      "traceparent: 00-" + trace + "-b7ad6b7169203331-01\r\ntracestate: a=1\r\nUser-Agent: me\r\n";
  const json body{{"text", "a"}, {"rid", "r"}, {"sampling_params", {{"max_new_tokens", 3}, {"ignore_eos", true}}}};
  EXPECT_EQ(Ask(port(), "POST", "/generate", body.dump(), headers).status, 200);
  const std::vector<json> spans = collector_.AwaitSpans(4);
  ASSERT_EQ(spans.size(), 4U);
  const json& whole = spans[0];
  EXPECT_EQ(whole["name"], "POST /generate");
  EXPECT_EQ(whole["kind"], 2);
  EXPECT_EQ(whole["traceId"], trace);
  EXPECT_EQ(whole["parentSpanId"], "b7ad6b7169203331");
  EXPECT_EQ(whole["traceState"], "a=1");
  EXPECT_EQ(whole["status"], json::object());
  const json attributes = AttributesOf(whole);
  EXPECT_EQ(attributes["http.request.method"], "POST");
  EXPECT_EQ(attributes["http.route"], "/generate");
  EXPECT_EQ(attributes["http.response.status_code"], "200");
  EXPECT_EQ(attributes["url.path"], "/generate");
  EXPECT_EQ(attributes["user_agent.original"], "me");
  EXPECT_EQ(attributes["gen_ai.operation.name"], "text_completion");
  EXPECT_EQ(attributes["gen_ai.request.model"], "pair/av");
  EXPECT_EQ(attributes["gen_ai.response.id"], "r");
  EXPECT_GT(std::stoi(attributes["gen_ai.usage.input_tokens"].get<std::string>()), 0);
  EXPECT_EQ(attributes["gen_ai.usage.output_tokens"], "3");
  EXPECT_EQ(attributes["gen_ai.response.finish_reasons"]["values"][0]["stringValue"], "length");
  EXPECT_EQ(attributes["nla.replies"], "1");
  EXPECT_FALSE(attributes.contains("error.type"));
  std::set<std::string> ids{whole["spanId"]};
  int64_t time = std::stoll(whole["startTimeUnixNano"].get<std::string>());
  for (size_t i = 1; i < spans.size(); ++i) {
    EXPECT_EQ(spans[i]["name"], std::vector<std::string>({"queue", "prefill", "decode"})[i - 1]);
    EXPECT_EQ(spans[i]["traceId"], trace);
    EXPECT_EQ(spans[i]["parentSpanId"], whole["spanId"]);
    EXPECT_EQ(spans[i]["kind"], 1);
    ids.insert(spans[i]["spanId"]);
    const int64_t begin = std::stoll(spans[i]["startTimeUnixNano"].get<std::string>());
    // The wall's clock is read anew for each moment.
    constexpr int64_t kSlack = 1000000;
    EXPECT_GE(begin, time - kSlack);
    time = std::stoll(spans[i]["endTimeUnixNano"].get<std::string>());
    EXPECT_GE(time, begin);
  }
  EXPECT_LE(time, std::stoll(whole["endTimeUnixNano"].get<std::string>()));
  EXPECT_EQ(ids.size(), 4U);
}

TEST_F(ServerTraceTest, RequestsWithoutACallersTraceBeginOne) {
  Ask(port(), "GET", "/nothing/12?key=secret");
  Ask(port(), "GET", "/health", "", "traceparent: nonsense\r\n");
  Ask(port(), "BREW", "/health");
  const std::vector<json> spans = collector_.AwaitSpans(3);
  ASSERT_EQ(spans.size(), 3U);
  EXPECT_EQ(spans[0]["name"], "GET");
  EXPECT_EQ(AttributesOf(spans[0])["http.response.status_code"], "404");
  EXPECT_EQ(spans[0]["status"], json::object());
  EXPECT_FALSE(AttributesOf(spans[0]).contains("http.route"));
  EXPECT_THAT(spans[0].dump(), testing::Not(HasSubstr("secret")));
  EXPECT_EQ(spans[1]["name"], "GET /health");
  EXPECT_FALSE(spans[1].contains("parentSpanId"));
  EXPECT_NE(spans[0]["traceId"], spans[1]["traceId"]);
  EXPECT_EQ(AttributesOf(spans[2])["http.request.method"], "_OTHER");
}

TEST_F(ServerTraceTest, ATraceThatTheCallerDoesNotRecordIsNotRecordedHere) {
  Ask(port(), "GET", "/health", "", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n");
  Ask(port(), "GET", "/v1/models");
  const std::vector<json> spans = collector_.AwaitSpans(1);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0]["name"], "GET /v1/models");
}

TEST_F(ServerTraceTest, AServersErrorIsAFailedSpan) {
  service_->service().Close();
  EXPECT_EQ(Ask(port(), "GET", "/health").status, 503);
  const std::vector<json> spans = collector_.AwaitSpans(1);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0]["status"], json({{"code", 2}}));
  EXPECT_EQ(AttributesOf(spans[0])["error.type"], "503");
}

TEST_F(ServerTraceTest, StreamsAndExplanationsAreTracedToTheirEnd) {
  const json body{
      {"activations", RandomVectors(1, 3)}, {"stream", true}, {"sampling_params", {{"n", 2}, {"max_new_tokens", 4}}}};
  EXPECT_EQ(Ask(port(), "POST", "/v1/nla/verbalize", body.dump()).status, 200);
  const std::vector<json> spans = collector_.AwaitSpans(4);
  ASSERT_EQ(spans.size(), 4U);
  const json attributes = AttributesOf(spans[0]);
  EXPECT_EQ(attributes["http.route"], "/v1/nla/verbalize");
  EXPECT_EQ(attributes["nla.replies"], "2");
  EXPECT_EQ(attributes["gen_ai.response.finish_reasons"]["values"].size(), 2U);
  EXPECT_GT(std::stoi(attributes["gen_ai.usage.output_tokens"].get<std::string>()), 0);
}

TEST_F(ServerTraceTest, MetricsCountSpansAndTheEndSendsThem) {
  ModelChoice choice;
  choice.actor = tiny_.Source("av_known");
  TraceExporterOptions slow = Options(CollectorUrl());
  slow.gather_seconds = 3600;
  slow.most_waiting = 2;
  {
    TestService service(choice, {.traces = slow});
    for (int i = 0; i < 5; ++i) EXPECT_EQ(service.Ask("GET", "/health").status, 200);
    const std::string text = service.Ask("GET", "/metrics").body;
    EXPECT_THAT(text, HasSubstr("nla_trace_spans_sent_total 0\n"));
    EXPECT_THAT(text, HasSubstr("nla_trace_spans_dropped_total 3\n"));
    EXPECT_TRUE(collector_.requests().empty());
  }
  EXPECT_EQ(collector_.AwaitSpans(2).size(), 2U);
}

}  // namespace
}  // namespace nla::serve
