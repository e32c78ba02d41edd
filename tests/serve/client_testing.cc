// The bare client.
#include "serve/client_testing.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace nla::serve {

std::vector<std::string> Answer::Events() const {
  std::vector<std::string> events;
  for (size_t at = 0; at < body.size();) {
    const size_t end = std::min(body.find("\n\n", at), body.size());
    const std::string frame = body.substr(at, end - at);
    if (!frame.starts_with("data: ")) throw std::runtime_error("no event: " + frame);
    events.push_back(frame.substr(6));
    at = end + 2;
  }
  return events;
}

TestClient::TestClient(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd_);
    throw std::runtime_error("connection refused");
  }
}

TestClient::~TestClient() {
  if (fd_ >= 0) close(fd_);
}

void TestClient::Send(const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;  // the server has closed: the answer says why
    sent += static_cast<size_t>(count);
  }
}

bool TestClient::Fill() {
  char bytes[16384];
  const ssize_t count = recv(fd_, bytes, sizeof(bytes), 0);
  if (count <= 0) return false;
  buffer_.append(bytes, static_cast<size_t>(count));
  return true;
}

std::string TestClient::Line() {
  while (buffer_.find("\r\n") == std::string::npos) {
    if (!Fill()) return "";
  }
  const size_t end = buffer_.find("\r\n");
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

std::string TestClient::Take(size_t count, bool& whole) {
  while (buffer_.size() < count && Fill()) continue;
  whole = buffer_.size() >= count;
  std::string taken = buffer_.substr(0, count);
  buffer_.erase(0, taken.size());
  return taken;
}

Answer TestClient::Read() {
  Answer answer;
  std::string line = Line();
  while (line == "HTTP/1.1 100 Continue") {
    Line();
    line = Line();
  }
  if (line.size() < 12) return answer;
  answer.status = std::stoi(line.substr(9, 3));
  for (line = Line(); !line.empty(); line = Line()) {
    std::string name = line.substr(0, line.find(':'));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    answer.headers[name] = line.substr(line.find(':') + 2);
  }
  if (answer.headers.contains("content-length")) {
    answer.body = Take(std::stoul(answer.headers["content-length"]), answer.whole);
    return answer;
  }
  for (;;) {
    const std::string size = Line();
    if (size.empty()) return answer;
    bool whole = false;
    answer.body += Take(std::stoul(size, nullptr, 16), whole);
    Line();
    if (!whole) return answer;
    if (size == "0") break;
  }
  answer.whole = true;
  return answer;
}

std::string TestClient::ReadUntil(const std::string& wanted) {
  while (buffer_.find(wanted) == std::string::npos && Fill()) continue;
  return buffer_;
}

void TestClient::Vanish() {
  const linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd_);
  fd_ = -1;
}

std::string RequestText(const std::string& method, const std::string& path, const std::string& body,
                        const std::string& headers) {
  return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{}\r\n{}", method, path, body.size(),
                     headers, body);
}

Answer Ask(int port, const std::string& method, const std::string& path, const std::string& body,
           const std::string& headers) {
  TestClient client(port);
  client.Send(RequestText(method, path, body, headers));
  return client.Read();
}

}  // namespace nla::serve
