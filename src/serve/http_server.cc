// The accepting thread and the connections' threads.
#include "serve/http_server.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/fail.h"
#include "base/log.h"
#include "serve/http_error.h"

namespace nla::serve {
namespace {

std::string AddressOf(const sockaddr_storage& address, socklen_t size) {
  std::array<char, NI_MAXHOST> host{};
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (getnameinfo(generic, size, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) != 0) return "?";
  return host.data();
}

int PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  std::array<char, NI_MAXSERV> port{};
  getnameinfo(reinterpret_cast<sockaddr*>(&address), size, nullptr, 0, port.data(), port.size(), NI_NUMERICSERV);
  return std::atoi(port.data());
}

int Listen(const HttpOptions& options) {
  const std::string port = std::to_string(options.port);
  const std::string where = fmt::format("--host {} --port {}", options.host, port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(options.host.c_str(), port.c_str(), &hints, &found); error != 0) {
    Fail({.where = where, .what = fmt::format("no such address ({})", gai_strerror(error))});
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const int fd = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, one->ai_protocol);
    const int on = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, one->ai_addr, one->ai_addrlen) == 0 && listen(fd, 256) == 0) {
      return fd;
    }
    error = errno;
    if (fd >= 0) close(fd);
  }
  Fail({.where = where,
        .what = fmt::format("cannot listen there: {}", std::strerror(error)),
        .mend = error == EADDRINUSE ? "Another program has the port: pass another --port, or 0 for any" : ""});
}

// The body of an answer as chunks.
class ChunkWriter : public BodyWriter {
 public:
  explicit ChunkWriter(Connection& connection) : connection_(connection) {}
  bool Gone() const override { return failed_ || connection_.Gone(); }
  bool Write(std::string_view bytes) override {
    if (!failed_ && !bytes.empty()) failed_ = !connection_.Write(Chunk(bytes));
    return !failed_;
  }
  bool failed() const { return failed_; }

 private:
  Connection& connection_;
  bool failed_ = false;
};

}  // namespace

struct HttpServer::Impl {
  // A connection and the thread that serves it.
  struct Served {
    std::unique_ptr<Connection> connection;
    std::thread thread;
    bool over = false;
  };

  Impl(const HttpOptions& o, HttpHandler& h) : options(o), handler(h) {
    listen_fd = Listen(options);
    port = PortOf(listen_fd);
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    acceptor = std::thread([this] { Accept(); });
  }
  ~Impl() { close(wake_fd); }

  void Accept();
  void Admit(int fd, const std::string& client);
  void Join();
  void Serve(Connection& connection);
  bool ServeOne(Connection& connection);
  bool Answer(Connection& connection, HttpHead& head, RequestState& state, HttpHandler::Outcome& outcome);
  bool Send(Connection& connection, const HttpHead& head, const HttpResponse& response, bool keep_alive);

  HttpOptions options;
  HttpHandler& handler;
  int listen_fd = -1, wake_fd = -1, port = 0;
  std::atomic<bool> draining = false;
  std::thread acceptor;
  std::mutex mutex;
  std::condition_variable ended;
  std::list<Served> served;  // under mutex
  size_t active = 0;         // under mutex: those that are not over
};

void HttpServer::Impl::Accept() {
  while (!draining) {
    std::array<pollfd, 2> both{pollfd{listen_fd, POLLIN, 0}, pollfd{wake_fd, POLLIN, 0}};
    if (poll(both.data(), both.size(), 1000) < 0 && errno != EINTR) break;
    Join();
    if (draining || (both[0].revents & POLLIN) == 0) continue;
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    const int fd = accept4(listen_fd, reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC);
    if (fd >= 0) {
      Admit(fd, AddressOf(address, size));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      spdlog::warn("serve: cannot take a connection: {}", std::strerror(errno));
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  close(listen_fd);
}

void HttpServer::Impl::Admit(int fd, const std::string& client) {
  const std::lock_guard lock(mutex);
  auto connection = std::make_unique<Connection>(fd, wake_fd, client, options.limits);
  if (active >= static_cast<size_t>(options.max_connections)) {
    HttpResponse full{.status = 503, .body = ValueErrorBody("too many connections (--max-connections)")};
    full.headers.emplace_back("Retry-After", "1");
    // Into the empty send buffer of a fresh socket: does not wait.
    connection->Write(ResponseHead(full, full.body.size(), false) + full.body);
    return;
  }
  Served& one = served.emplace_back();
  one.connection = std::move(connection);
  ++active;
  try {
    one.thread = std::thread([this, &one] {
      Serve(*one.connection);
      const std::lock_guard end_lock(mutex);
      one.connection.reset();  // its thread is joined later
      one.over = true;
      --active;
      ended.notify_all();
    });
  } catch (const std::system_error& error) {
    spdlog::warn("serve: cannot start a thread: {}", error.what());
    served.pop_back();
    --active;
  }
}

void HttpServer::Impl::Join() {
  std::list<Served> over;
  {
    const std::lock_guard lock(mutex);
    for (auto one = served.begin(); one != served.end();) {
      const auto next = std::next(one);
      if (one->over) over.splice(over.end(), served, one);
      one = next;
    }
  }
  for (Served& one : over) one.thread.join();
}

void HttpServer::Impl::Serve(Connection& connection) {
  try {
    double seconds = options.limits.head_seconds;  // a fresh connection is one because of a request
    while (connection.WaitForRequest(seconds) && ServeOne(connection)) {
      if (draining) break;
      seconds = options.limits.keep_alive_seconds;
    }
    connection.CloseGently();
  } catch (const ClientGone&) {
  } catch (const std::exception& error) {
    spdlog::error("serve: a connection ended with: {}", error.what());
  }
}

// False: the connection cannot go on.
bool HttpServer::Impl::ServeOne(Connection& connection) {
  const Clock::time_point begun = Clock::now();
  const uint64_t written = connection.bytes_written();
  HttpHead head;
  head.request.client = connection.client();
  RequestState state;
  HttpHandler::Outcome outcome;
  bool go_on = false;
  try {
    go_on = Answer(connection, head, state, outcome);
  } catch (const ClientGone&) {
    outcome.status = kClientGone;
  }
  state.permit.reset();
  outcome.bytes = connection.bytes_written() - written;
  outcome.seconds = SecondsSince(begun);
  handler.Ended(head.request, state, outcome);
  return go_on;
}

bool HttpServer::Impl::Answer(Connection& connection, HttpHead& head, RequestState& state,
                              HttpHandler::Outcome& outcome) {
  HttpResponse response;
  bool whole = false;  // nothing of the request is left unread
  try {
    const std::string client = head.request.client;
    head = ParseHead(connection.ReadHead());
    head.request.client = client;
    if (head.framing.content_length.value_or(0) > options.limits.max_body) {
      throw HttpError(413, fmt::format("the body is larger than {} bytes (--max-body)", options.limits.max_body));
    }
    if (std::optional<HttpResponse> refusal = handler.Admit(head.request, state, connection)) {
      response = std::move(*refusal);
      whole = !head.framing.has_body();
    } else {
      head.request.body = connection.ReadBody(head.framing);
      whole = true;
      response = handler.Handle(head.request, state, connection);
    }
  } catch (const HttpError& error) {
    response = {.status = error.status(), .body = ValueErrorBody(error.what())};
  }
  outcome.status = response.status;
  const bool keep_alive = whole && head.framing.keep_alive && !draining;
  return Send(connection, head, response, keep_alive) && keep_alive;
}

bool HttpServer::Impl::Send(Connection& connection, const HttpHead& head, const HttpResponse& response,
                            bool keep_alive) {
  const bool no_body = head.request.method == "HEAD";
  if (!response.stream) {
    std::string message = ResponseHead(response, response.body.size(), keep_alive);
    if (!no_body && response.body.size() <= size_t{1} << 16) {
      message += response.body;
      return connection.Write(message);
    }
    return connection.Write(message) && (no_body || connection.Write(response.body));
  }
  if (head.framing.http_1_0) {
    const HttpResponse refusal{.status = 505, .body = ValueErrorBody("a streamed answer needs HTTP/1.1")};
    return connection.Write(ResponseHead(refusal, refusal.body.size(), false) + refusal.body) && false;
  }
  if (!connection.Write(ResponseHead(response, std::nullopt, keep_alive))) throw ClientGone();
  if (no_body) return true;
  ChunkWriter writer(connection);
  response.stream(writer);
  if (writer.failed() || !connection.Write(kLastChunk)) throw ClientGone();
  return true;
}

HttpServer::HttpServer(const HttpOptions& options, HttpHandler& handler)
    : impl_(std::make_unique<Impl>(options, handler)) {}

HttpServer::~HttpServer() {
  Drain(0);
  Abort();
}

int HttpServer::port() const { return impl_->port; }

std::string HttpServer::url() const {
  const std::string& host = impl_->options.host;
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", impl_->port);
}

bool HttpServer::Drain(double seconds) {
  impl_->draining = true;
  const uint64_t one = 1;
  if (write(impl_->wake_fd, &one, sizeof(one)) < 0) spdlog::debug("serve: woken already");
  if (impl_->acceptor.joinable()) impl_->acceptor.join();
  std::unique_lock lock(impl_->mutex);
  return impl_->ended.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return impl_->active == 0; });
}

void HttpServer::Abort() {
  {
    const std::lock_guard lock(impl_->mutex);
    for (const Impl::Served& one : impl_->served) {
      if (one.connection) one.connection->Abort();
    }
  }
  for (Impl::Served& one : impl_->served) {
    if (one.thread.joinable()) one.thread.join();
  }
  impl_->served.clear();
}

}  // namespace nla::serve
