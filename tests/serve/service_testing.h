// A service over a tiny pair, asked without a socket.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "nla/tiny_pair_testing.h"
#include "serve/client_testing.h"
#include "serve/service.h"

namespace nla::serve {

// A client that is there until it is told to go, and keeps what it is sent.
class TestLink : public BodyWriter {
 public:
  bool Gone() const override { return gone; }
  bool Write(std::string_view bytes) override {
    received += bytes;
    return !gone;
  }
  std::atomic<bool> gone = false;
  std::string received;
};

class TestService {
 public:
  TestService(const ModelChoice& choice, const ServiceOptions& options = {});

  Answer Ask(const std::string& method, const std::string& path, const std::string& body = "");
  Answer Ask(HttpRequest request, TestLink& link);
  // A body that must be answered 200.
  nlohmann::json Post(const std::string& path, const nlohmann::json& body);
  // One that must be refused, and the message that says so.
  std::string Refused(const std::string& path, const nlohmann::json& body, int status = 400);
  // The events of a stream, without [DONE].
  std::vector<nlohmann::json> Stream(const std::string& path, nlohmann::json body);

  Models& models() { return models_; }
  Service& service() { return service_; }

 private:
  Models models_;
  Service service_;
};

}  // namespace nla::serve
