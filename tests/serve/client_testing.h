// A client on a bare socket, which can misbehave in every way that a library's would not.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace nla::serve {

struct Answer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // without its chunks' sizes
  bool whole = false;                          // it did not end early

  nlohmann::json json() const { return nlohmann::json::parse(body); }
  // The data of server-sent events.
  std::vector<std::string> Events() const;
};

class TestClient {
 public:
  explicit TestClient(int port);
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;
  ~TestClient();

  void Send(const std::string& bytes);
  // The next answer on this connection; status 0 where it was closed before one began.
  Answer Read();
  // Bytes as they come, until they hold `wanted` or the end comes.
  std::string ReadUntil(const std::string& wanted);
  // Closes with a reset, as a process that was killed.
  void Vanish();

 private:
  bool Fill();
  std::string Line();
  std::string Take(size_t count, bool& whole);
  int fd_;
  std::string buffer_;
};

std::string RequestText(const std::string& method, const std::string& path, const std::string& body,
                        const std::string& headers = "");
// One request on a connection of its own.
Answer Ask(int port, const std::string& method, const std::string& path, const std::string& body = "",
           const std::string& headers = "");

}  // namespace nla::serve
