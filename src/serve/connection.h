// One accepted socket: buffered reading and writing with deadlines that a slow client cannot stretch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "serve/http_message.h"

namespace nla::serve {

struct HttpLimits {
  uint64_t max_body = uint64_t{64} << 20;
  size_t max_head = size_t{64} << 10;
  double head_seconds = 10;        // for a whole head, from its first byte
  double body_seconds = 20;        // for a body, and kBytesPerSecond beside
  double write_seconds = 20;       // for a piece of an answer, and kBytesPerSecond beside
  double keep_alive_seconds = 30;  // between two requests
};

// Who sends or takes slower than this loses the connection once its grace is used up.
inline constexpr double kBytesPerSecond = 256 << 10;

class Connection : public ClientLink {
 public:
  // Owns the socket. `wake_fd` becomes readable when idle connections are to close.
  Connection(int fd, int wake_fd, std::string client, const HttpLimits& limits);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override;

  const std::string& client() const { return client_; }
  // Waits for the first byte of a request. False: none came, the client has closed, or the server stops.
  bool WaitForRequest(double seconds);
  // The head without its last empty line. HttpError: 408, 431; ClientGone.
  std::string ReadHead();
  // HttpError: 400, 408, 413; ClientGone.
  std::string ReadBody(const HttpFraming& framing);
  // False when it could not all be sent.
  bool Write(std::string_view bytes);
  uint64_t bytes_written() const { return bytes_written_; }

  // A client that has closed its sending side counts as gone.
  bool Gone() const override;
  // Says that no more is sent, and reads on for a moment: else the answer to a request that was not read to its end
  // could be lost to the reset that the rest provokes.
  void CloseGently();
  // From any thread: ends what reads or writes here.
  void Abort() const;

 private:
  // Appends what is there, at most `most` bytes, waiting for it until `deadline`. HttpError 408, ClientGone.
  void Receive(std::string& into, uint64_t most, Clock::time_point deadline);
  void Fill(Clock::time_point deadline);  // the buffer
  std::string ReadLine(Clock::time_point deadline);
  void ReadInto(std::string& body, uint64_t count, Clock::time_point begun);
  bool WaitFor(short events, Clock::time_point deadline) const;

  int fd_, wake_fd_;
  std::string client_;
  HttpLimits limits_;
  std::string buffer_;  // read and not used yet
  uint64_t bytes_written_ = 0;
};

}  // namespace nla::serve
