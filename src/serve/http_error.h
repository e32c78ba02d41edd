// What ends a request that cannot be answered, with its status; and the bodies that say so.
#pragma once

#include <stdexcept>
#include <string>

namespace nla::serve {

class HttpError : public std::runtime_error {
 public:
  HttpError(int status, const std::string& message) : std::runtime_error(message), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

// A body that is not what its content type says: answered in the shape that SGLang has for it.
class MalformedBody : public HttpError {
 public:
  explicit MalformedBody(const std::string& message) : HttpError(400, message) {}
};

// The client has closed its connection: there is nobody to answer.
class ClientGone : public std::runtime_error {
 public:
  ClientGone() : std::runtime_error("the client is gone") {}
};

// {"error":{"message":…}}
std::string ValueErrorBody(const std::string& message);
// {"object":"error","message":…,"type":"Bad Request","param":null,"code":400}
std::string MalformedErrorBody(const std::string& message);
// {"error":{"message":…,"type":…,"param":null,"code":…}}, as OpenAI's clients read it.
std::string OpenAiErrorBody(int status, const std::string& message);

}  // namespace nla::serve
