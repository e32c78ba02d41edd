// A collector of traces on this machine, which can refuse and dawdle.
#pragma once

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "serve/http_server.h"

namespace nla::serve {

class TestCollector : public HttpHandler {
 public:
  TestCollector();

  std::string url() const { return server_.url(); }
  // How it answers from now on.
  void Answer(int status, std::string body = "{}", double seconds = 0);
  // Waits for so many spans; all that came, in their order. Fewer where they do not come in ten seconds.
  std::vector<nlohmann::json> AwaitSpans(size_t count);
  std::vector<HttpRequest> requests();

  std::optional<HttpResponse> Admit(const HttpRequest&, RequestState&, const ClientLink&) override;
  HttpResponse Handle(const HttpRequest& request, RequestState&, const ClientLink& client) override;
  void Ended(const HttpRequest&, const RequestState&, const Outcome&) noexcept override {}

 private:
  std::vector<nlohmann::json> Spans() const;

  std::mutex mutex_;
  std::condition_variable news_;
  std::vector<HttpRequest> taken_, asked_;
  int status_ = 200;
  std::string body_ = "{}";
  double seconds_ = 0;
  HttpServer server_;  // last: its threads use all of the above
};

// The attributes of a span or a resource by their keys.
nlohmann::json AttributesOf(const nlohmann::json& owner);

}  // namespace nla::serve
