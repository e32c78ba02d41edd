// The HTTP server with a handler of the test's own: framing, limits, deadlines, clients that vanish, the way out.
#include "serve/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "serve/client_testing.h"
#include "serve/http_error.h"

namespace nla::serve {
namespace {

using testing::HasSubstr;

// Answers with what it was asked; some paths behave specially.
class Echo : public HttpHandler {
 public:
  std::optional<HttpResponse> Admit(const HttpRequest& head, RequestState& /*state*/, const ClientLink&) override {
    if (head.path == "/refused") return HttpResponse{.status = 401, .body = "{}"};
    return std::nullopt;
  }
  HttpResponse Handle(const HttpRequest& request, RequestState& /*state*/, const ClientLink& client) override {
    if (request.path == "/wait") {
      waiting = true;
      while (!client.Gone() && !go_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (client.Gone()) throw ClientGone();
      return {.body = "\"waited\""};
    }
    if (request.path == "/stream") {
      HttpResponse response{.content_type = "text/event-stream"};
      response.stream = [this](BodyWriter& writer) {
        for (int i = 0; i < 3 || (endless && !writer.Gone()); ++i) {
          if (!writer.Write("data: x\n\n")) break;
          waiting = true;
        }
        if (writer.Gone()) throw ClientGone();
      };
      return response;
    }
    nlohmann::json query = nlohmann::json::object();
    for (const auto& [name, value] : request.query) query[name] = value;
    return {
        .body =
            nlohmann::json{{"method", request.method}, {"path", request.path}, {"query", query}, {"body", request.body}}
                .dump()};
  }
  void Ended(const HttpRequest& /*request*/, const RequestState& /*state*/, const Outcome& outcome) noexcept override {
    const std::lock_guard lock(mutex);
    statuses.push_back(outcome.status);
    news.notify_all();
  }
  void AwaitEnded(size_t count) {
    std::unique_lock lock(mutex);
    news.wait(lock, [&] { return statuses.size() >= count; });
  }

  std::atomic<bool> waiting = false, go_on = false, endless = false;
  std::mutex mutex;
  std::condition_variable news;
  std::vector<int> statuses;
};

class HttpServerTest : public testing::Test {
 protected:
  static HttpOptions Options() {
    HttpOptions options;
    options.port = 0;
    options.limits.max_body = 1000;
    options.limits.max_head = 2000;
    return options;
  }
  void Start(const HttpOptions& options) { server_.emplace(options, echo_); }
  int port() {
    if (!server_) Start(Options());
    return server_->port();
  }
  Echo echo_;
  std::optional<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersRequestAfterRequestOnOneConnection) {
  TestClient client(port());
  client.Send(RequestText("POST", "/a%20b?x=1&y=a%2Bb+c&z", "hello") + RequestText("GET", "/second", ""));
  Answer first = client.Read();
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(
      first.json(),
      nlohmann::json::parse(R"({"method":"POST","path":"/a b","query":{"x":"1","y":"a+b c","z":""},"body":"hello"})"));
  EXPECT_EQ(client.Read().json()["path"], "/second");
  client.Send("GET /third HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  first = client.Read();
  EXPECT_EQ(first.headers["connection"], "close");
  EXPECT_EQ(client.Read().status, 0);
}

TEST_F(HttpServerTest, AConnectionThatIsClosedBetweenRequestsIsNoRequest) {
  {
    TestClient client(port());
    client.Send(RequestText("GET", "/a", ""));
    EXPECT_EQ(client.Read().status, 200);
  }
  EXPECT_TRUE(server_->Drain(3600));
  EXPECT_EQ(echo_.statuses, std::vector<int>{200});
}

TEST_F(HttpServerTest, ChunkedBodiesAreJoined) {
  TestClient client(port());
  const std::string head = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  client.Send(head + "5\r\nhello\r\n6;note=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n" + RequestText("GET", "/next", ""));
  EXPECT_EQ(client.Read().json()["body"], "hello world");
  EXPECT_EQ(client.Read().json()["path"], "/next");
}

TEST_F(HttpServerTest, HeadsThatCanBeReadInTwoWaysAreRefused) {
  const auto status = [&](const std::string& request) {
    TestClient client(port());
    client.Send(request);
    const Answer answer = client.Read();
    EXPECT_EQ(client.Read().status, 0) << "the connection goes on after: " << request;
    return answer.status;
  };
  const std::string post = "POST /a HTTP/1.1\r\nHost: x\r\n";
  EXPECT_EQ(status(post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 400);
  EXPECT_EQ(status(post + "Content-Length: +1\r\n\r\na"), 400);
  EXPECT_EQ(status(post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(status(post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501);
  EXPECT_EQ(status(post + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na"), 415);
  EXPECT_EQ(status(post + "Content-Length : 1\r\n\r\na"), 400);
  EXPECT_EQ(status(post + "Name: a\r\n folded: b\r\n\r\n"), 400);
  EXPECT_EQ(status(post + "Name: a\nContent-Length: 1\r\n\r\n"), 400);
  EXPECT_EQ(status("POST /a HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status("GET /a\r\n\r\n"), 400);
  EXPECT_EQ(status("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(status("GET /a%2 HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(status("GET /a HTTP/2.0\r\nHost: x\r\n\r\n"), 505);
  EXPECT_EQ(status("\x16\x03\x01\x02\r\n\r\n"), 400);
  EXPECT_EQ(status("GET /" + std::string(3000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"), 431);
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  for (const char* bad : {"x\r\n", "-1\r\n", "\r\n", "2\r\nabc\r\n", "0x2\r\nab\r\n", "fffffffffffffffff\r\n"}) {
    EXPECT_EQ(status(chunked + bad), 400) << bad;
  }
}

TEST_F(HttpServerTest, BodiesAboveTheLimitAreRefusedUnread) {
  EXPECT_EQ(Ask(port(), "POST", "/a", std::string(1000, 'x')).status, 200);
  TestClient declared(port());
  declared.Send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");  // and no byte of it
  Answer answer = declared.Read();
  EXPECT_EQ(answer.status, 413);
  EXPECT_THAT(answer.body, HasSubstr("larger than 1000 bytes"));
  EXPECT_EQ(declared.Read().status, 0);

  TestClient sent(port());
  sent.Send(RequestText("POST", "/a", std::string(300000, 'x')));
  EXPECT_EQ(sent.Read().status, 413);

  TestClient chunked(port());
  chunked.Send("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 11; ++i) chunked.Send("64\r\n" + std::string(100, 'x') + "\r\n");
  EXPECT_EQ(chunked.Read().status, 413);
  EXPECT_EQ(chunked.Read().status, 0);
}

TEST_F(HttpServerTest, ARefusedRequestLeavesNoBodyBehind) {
  TestClient client(port());
  client.Send(RequestText("POST", "/refused", "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_EQ(client.Read().status, 401);
  EXPECT_EQ(client.Read().status, 0);
  TestClient without(port());
  without.Send(RequestText("GET", "/refused", "") + RequestText("GET", "/next", ""));
  EXPECT_EQ(without.Read().status, 401);
  EXPECT_EQ(without.Read().json()["path"], "/next");
}

TEST_F(HttpServerTest, AsksForABodyThatIsAnnounced) {
  TestClient client(port());
  client.Send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("HTTP/1.1 100 Continue"));
  client.Send("ok");
  EXPECT_EQ(client.Read().json()["body"], "ok");
}

TEST_F(HttpServerTest, SlowClientsLoseTheirConnection) {
  HttpOptions options = Options();
  options.limits.body_seconds = options.limits.keep_alive_seconds = 0.05;
  Start(options);
  TestClient body(port());
  body.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(body.Read().status, 408);
  TestClient idle(port());
  idle.Send(RequestText("GET", "/a", ""));
  EXPECT_EQ(idle.Read().status, 200);
  EXPECT_EQ(idle.Read().status, 0);
}

TEST_F(HttpServerTest, HeadsMustArriveInTime) {
  HttpOptions options = Options();
  options.limits.head_seconds = 1;
  Start(options);
  TestClient head(port());
  TestClient silent(port());
  head.Send("GET / HTTP/1.1\r\nHo");
  EXPECT_EQ(head.Read().status, 408);
  EXPECT_EQ(silent.Read().status, 0);
}

TEST_F(HttpServerTest, AClientThatDoesNotReadLosesItsStream) {
  HttpOptions options = Options();
  options.limits.write_seconds = 0.05;
  Start(options);
  echo_.endless = true;
  TestClient client(port());
  client.Send(RequestText("GET", "/stream", ""));
  echo_.AwaitEnded(1);
  EXPECT_EQ(echo_.statuses[0], kClientGone);
}

TEST_F(HttpServerTest, HandlersLearnThatTheirClientHasGone) {
  for (const char* path : {"/wait", "/stream"}) {
    echo_.waiting = false;
    echo_.endless = true;
    TestClient client(port());
    client.Send(RequestText("POST", path, ""));
    while (!echo_.waiting) std::this_thread::yield();
    client.Vanish();
  }
  echo_.AwaitEnded(2);
  EXPECT_THAT(echo_.statuses, testing::Each(kClientGone));
}

TEST_F(HttpServerTest, StreamsAreChunkedAndTheConnectionGoesOn) {
  TestClient client(port());
  client.Send(RequestText("GET", "/stream", "") + RequestText("HEAD", "/a", "") + RequestText("GET", "/next", ""));
  const Answer stream = client.Read();
  EXPECT_TRUE(stream.whole);
  EXPECT_THAT(stream.Events(), testing::ElementsAre("x", "x", "x"));
  EXPECT_THAT(client.ReadUntil("/next"), HasSubstr("\r\n\r\nHTTP/1.1 200 OK\r\nDate: "));
  TestClient old(port());
  old.Send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.Read().status, 505);
}

TEST_F(HttpServerTest, OneConnectionTooManyIsToldSo) {
  HttpOptions options = Options();
  options.max_connections = 1;
  Start(options);
  TestClient first(port());
  first.Send(RequestText("GET", "/a", ""));
  EXPECT_EQ(first.Read().status, 200);
  TestClient second(port());
  EXPECT_EQ(second.Read().status, 503);
}

TEST_F(HttpServerTest, DrainsWhatRunsAndTakesNothingNew) {
  const int door = port();
  TestClient idle(door);
  idle.Send(RequestText("GET", "/a", ""));
  EXPECT_EQ(idle.Read().status, 200);
  TestClient busy(door);
  busy.Send(RequestText("GET", "/wait", ""));
  while (!echo_.waiting) std::this_thread::yield();
  EXPECT_FALSE(server_->Drain(0));
  EXPECT_EQ(idle.Read().status, 0);
  EXPECT_THROW(TestClient{door}, std::runtime_error);
  auto drained = std::async(std::launch::async, [&] { return server_->Drain(3600); });
  echo_.go_on = true;
  Answer answer = busy.Read();
  EXPECT_EQ(answer.body, "\"waited\"");
  EXPECT_EQ(answer.headers["connection"], "close");
  EXPECT_TRUE(drained.get());
}

TEST_F(HttpServerTest, AbortCutsWhatWouldNotEnd) {
  TestClient busy(port());
  busy.Send(RequestText("GET", "/wait", ""));
  while (!echo_.waiting) std::this_thread::yield();
  EXPECT_FALSE(server_->Drain(0));
  server_->Abort();
  EXPECT_EQ(busy.Read().status, 0);
  EXPECT_EQ(echo_.statuses, std::vector<int>{kClientGone});
}

TEST_F(HttpServerTest, ATakenPortIsNamed) {
  HttpOptions options = Options();
  options.port = port();
  try {
    const HttpServer second(options, echo_);
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("--port " + std::to_string(options.port)),
                                             HasSubstr("Address already in use")));
  }
}

TEST_F(HttpServerTest, RandomBytesNeverEndTheServer) {
  const std::string request = RequestText("POST", "/a?b=c", "hello", "Transfer-Encoding: x\r\n");
  uint64_t state = 1;
  const auto next = [&] { return (state = state * 6364136223846793005U + 1442695040888963407U) >> 33; };
  for (int i = 0; i < 300; ++i) {
    std::string bytes = request;
    for (uint64_t flips = next() % 4 + 1; flips > 0; --flips) bytes[next() % bytes.size()] = static_cast<char>(next());
    bytes.resize(next() % 3 == 0 ? next() % bytes.size() : bytes.size());
    TestClient client(port());
    client.Send(bytes);
    client.Vanish();
  }
  EXPECT_EQ(Ask(port(), "GET", "/still").status, 200);
}

}  // namespace
}  // namespace nla::serve
