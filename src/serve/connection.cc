// Sockets in non-blocking mode, waited for with poll.
#include "serve/connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "serve/http_error.h"

namespace nla::serve {
namespace {

constexpr size_t kMostOfALine = 1024;  // of a chunked body
constexpr size_t kAtOnce = 65536;      // bytes that one call takes from the socket
// Of a body whose head promises more, before room is made for the rest: it may never come.
constexpr uint64_t kPromiseKept = uint64_t{1} << 20;

Clock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

int MillisecondsUntil(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

}  // namespace

Connection::Connection(int fd, int wake_fd, std::string client, const HttpLimits& limits)
    : fd_(fd), wake_fd_(wake_fd), client_(std::move(client)), limits_(limits) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

Connection::~Connection() { close(fd_); }

bool Connection::WaitFor(short events, Clock::time_point deadline) const {
  for (;;) {
    pollfd one{fd_, events, 0};
    const int ready = poll(&one, 1, MillisecondsUntil(deadline));
    if (ready > 0) return true;
    if (ready == 0 && Clock::now() >= deadline) return false;
    if (ready < 0 && errno != EINTR) return false;
  }
}

bool Connection::WaitForRequest(double seconds) {
  if (!buffer_.empty()) return true;
  const Clock::time_point deadline = Clock::now() + Seconds(seconds);
  for (;;) {
    std::array<pollfd, 2> both{pollfd{fd_, POLLIN, 0}, pollfd{wake_fd_, POLLIN, 0}};
    const int ready = poll(both.data(), both.size(), MillisecondsUntil(deadline));
    if (ready == 0 || (ready < 0 && errno != EINTR)) return false;
    if (ready < 0) continue;
    // A request that is there already is answered, be it with a refusal. What is there may be the end.
    char first = 0;
    return (both[0].revents & POLLIN) != 0 && recv(fd_, &first, 1, MSG_PEEK) > 0;
  }
}

void Connection::Fill(Clock::time_point deadline) { Receive(buffer_, kAtOnce, deadline); }

void Connection::Receive(std::string& into, uint64_t most, Clock::time_point deadline) {
  std::array<char, kAtOnce> bytes;
  for (;;) {
    const ssize_t count = recv(fd_, bytes.data(), std::min<uint64_t>(most, bytes.size()), 0);
    if (count > 0) {
      into.append(bytes.data(), static_cast<size_t>(count));
      return;
    }
    if (count == 0 || (errno != EAGAIN && errno != EINTR)) throw ClientGone();
    if (!WaitFor(POLLIN, deadline)) throw HttpError(408, "the request did not arrive in time");
  }
}

std::string Connection::ReadHead() {
  const Clock::time_point deadline = Clock::now() + Seconds(limits_.head_seconds);
  size_t searched = 0;
  for (;;) {
    // Empty lines before a request are allowed, and asked to be skipped.
    while (buffer_.starts_with("\r\n")) buffer_.erase(0, 2);
    const size_t end = buffer_.find("\r\n\r\n", searched);
    if (end != std::string::npos && end <= limits_.max_head) {
      std::string head = buffer_.substr(0, end);
      buffer_.erase(0, end + 4);
      return head;
    }
    if (buffer_.size() > limits_.max_head) {
      throw HttpError(431, fmt::format("the request's head is longer than {} bytes", limits_.max_head));
    }
    searched = buffer_.size() < 3 ? 0 : buffer_.size() - 3;
    Fill(deadline);
  }
}

std::string Connection::ReadLine(Clock::time_point deadline) {
  for (;;) {
    const size_t end = buffer_.find("\r\n");
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 2);
      return line;
    }
    if (buffer_.size() > kMostOfALine) throw HttpError(400, "a line of the chunked body is too long");
    Fill(deadline);
  }
}

void Connection::ReadInto(std::string& body, uint64_t count, Clock::time_point begun) {
  const size_t read_already = std::min<uint64_t>(count, buffer_.size());
  body.append(buffer_, 0, read_already);
  buffer_.erase(0, read_already);
  for (const uint64_t whole = body.size() + count - read_already; body.size() < whole;) {
    // Room that grows by doubling would have large bodies copied, and fresh pages made for each copy.
    if (body.capacity() < whole && body.size() + kAtOnce > kPromiseKept) body.reserve(whole);
    const Clock::time_point deadline =
        begun + Seconds(limits_.body_seconds + static_cast<double>(body.size()) / kBytesPerSecond);
    Receive(body, whole - body.size(), deadline);
  }
}

std::string Connection::ReadBody(const HttpFraming& framing) {
  const auto too_large = [&] {
    throw HttpError(413, fmt::format("the body is larger than {} bytes (--max-body)", limits_.max_body));
  };
  const Clock::time_point begun = Clock::now();
  std::string body;
  if (!framing.chunked) {
    const uint64_t length = framing.content_length.value_or(0);
    if (length > limits_.max_body) too_large();
    if (framing.expects_continue && length > 0 && buffer_.empty()) Write("HTTP/1.1 100 Continue\r\n\r\n");
    body.reserve(std::min(length, kPromiseKept));
    ReadInto(body, length, begun);
    return body;
  }
  if (framing.expects_continue && buffer_.empty()) Write("HTTP/1.1 100 Continue\r\n\r\n");
  const auto deadline = [&] {
    return begun + Seconds(limits_.body_seconds + static_cast<double>(body.size()) / kBytesPerSecond);
  };
  for (;;) {
    const uint64_t size = ParseChunkSize(ReadLine(deadline()));
    if (size == 0) break;
    if (size > limits_.max_body || body.size() + size > limits_.max_body) too_large();
    ReadInto(body, size, begun);
    if (!ReadLine(deadline()).empty()) throw HttpError(400, "a chunk of the body is longer than its size");
  }
  for (size_t trailers = 0; !ReadLine(deadline()).empty();) {
    if (++trailers > 16) throw HttpError(400, "the chunked body has too many trailers");
  }
  return body;
}

bool Connection::Write(std::string_view bytes) {
  const Clock::time_point deadline =
      Clock::now() + Seconds(limits_.write_seconds + static_cast<double>(bytes.size()) / kBytesPerSecond);
  while (!bytes.empty()) {
    const ssize_t count = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count > 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
      bytes_written_ += static_cast<uint64_t>(count);
      continue;
    }
    const bool broken = count < 0 && errno != EAGAIN && errno != EINTR;
    if (broken || !WaitFor(POLLOUT, deadline)) return false;
  }
  return true;
}

bool Connection::Gone() const {
  pollfd one{fd_, POLLRDHUP, 0};
  return poll(&one, 1, 0) > 0 && (one.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void Connection::CloseGently() {
  constexpr double kMostSeconds = 2;
  constexpr uint64_t kMostBytes = uint64_t{256} << 20;
  shutdown(fd_, SHUT_WR);
  const Clock::time_point deadline = Clock::now() + Seconds(kMostSeconds);
  std::array<char, 65536> bytes;
  for (uint64_t taken = 0; taken < kMostBytes && WaitFor(POLLIN, deadline);) {
    const ssize_t count = recv(fd_, bytes.data(), bytes.size(), 0);
    if (count <= 0) return;
    taken += static_cast<uint64_t>(count);
  }
}

void Connection::Abort() const { shutdown(fd_, SHUT_RDWR); }

}  // namespace nla::serve
