// HTTP/1.1 messages as values: what a handler is given and gives back, and the strict reading of a request's head.
// Sockets are connection.h's, threads http_server.h's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace nla::serve {

struct CaseLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const;
};

struct HttpRequest {
  std::string method;
  std::string path;  // decoded, without the query
  std::map<std::string, std::string, std::less<>> query;
  std::map<std::string, std::string, CaseLess> headers;  // repeated ones joined by ", "
  std::string body;
  std::string client;  // address

  // A header's value, or "".
  std::string_view Header(std::string_view name) const;
};

// What a request's head says of what follows it.
struct HttpFraming {
  std::optional<uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool expects_continue = false;
  bool http_1_0 = false;

  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
};

struct HttpHead {
  HttpRequest request;
  HttpFraming framing;
};

// Reads a head without its last empty line. Errors (HttpError): 400 for what is not HTTP/1.1 or could be read in two
// ways (lengths that differ, a length beside chunks, white space before a colon), 501 for other transfer codings, 505.
HttpHead ParseHead(std::string_view head);

// The size on a line of a chunked body. Error: 400.
uint64_t ParseChunkSize(std::string_view line);

// Whether the other side is still there; may be asked from the thread that answers.
class ClientLink {
 public:
  virtual ~ClientLink() = default;
  virtual bool Gone() const = 0;
};

// The body of an answer that is written bit by bit.
class BodyWriter : public ClientLink {
 public:
  // False: the client is gone, or too slow to wait for.
  virtual bool Write(std::string_view bytes) = 0;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  // In place of `body`: called once, when the head has been sent.
  std::function<void(BodyWriter&)> stream = {};
};

// What became of a request's replies, as its trace tells it. Written and read by the connection's thread.
struct ReplyRecord {
  int64_t count = 0;  // replies that were asked for
  std::optional<Clock::time_point> submitted = {}, first_token = {}, ended = {};
  std::vector<std::string> finish_reasons = {};  // of the first that ended
};

// What is known of a request besides its message, from its arrival to its line in the log.
struct RequestState {
  std::string rid = {};
  int64_t prompt_tokens = 0;
  int64_t reply_tokens = 0;
  std::string route = {};             // pattern, or "" for an unknown path
  std::shared_ptr<void> permit = {};  // given back when the answer has been sent
  std::string model = {};             // that writes its replies
  ReplyRecord replies = {};
  std::optional<Clock::time_point> waits_since = {}, waits_until = {};  // for its turn
};

// What the server asks of the program. Called on connection threads, many at a time.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // The head is there, the body is not read yet. An answer here refuses it unread. May wait.
  virtual std::optional<HttpResponse> Admit(const HttpRequest& head, RequestState& state, const ClientLink& client) = 0;
  virtual HttpResponse Handle(const HttpRequest& request, RequestState& state, const ClientLink& client) = 0;
  struct Outcome {
    int status = 0;  // 499: the client was gone before the answer
    uint64_t bytes = 0;
    double seconds = 0;
  };
  // The answer has been sent, or cannot be.
  virtual void Ended(const HttpRequest& request, const RequestState& state, const Outcome& outcome) noexcept = 0;
};

// Head of an answer, with its empty line. `length`: nullopt for a chunked body.
std::string ResponseHead(const HttpResponse& response, std::optional<uint64_t> length, bool keep_alive);
std::string Chunk(std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";
inline constexpr int kClientGone = 499;

}  // namespace nla::serve
