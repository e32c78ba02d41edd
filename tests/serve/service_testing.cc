// The way of a request through a service.
#include "serve/service_testing.h"

#include <gtest/gtest.h>

#include "serve/http_error.h"

namespace nla::serve {

TestService::TestService(const ModelChoice& choice, const ServiceOptions& options)
    : models_(choice), service_(options) {
  service_.Open(models_, /*seed=*/1, {{"host", "test"}});
}

Answer TestService::Ask(HttpRequest request, TestLink& link) {
  request.headers["Host"] = "test";
  request.client = "127.0.0.1";
  RequestState state;
  HttpResponse response;
  if (auto refusal = service_.Admit(request, state, link)) {
    response = *refusal;
  } else {
    response = service_.Handle(request, state, link);
  }
  Answer answer;
  answer.status = response.status;
  for (const auto& [name, value] : response.headers) answer.headers[name] = value;
  answer.headers["content-type"] = response.content_type;
  answer.body = response.body;
  if (response.stream) {
    response.stream(link);
    answer.body = link.received;
  }
  answer.whole = true;
  service_.Ended(request, state, {response.status, answer.body.size(), 0});
  return answer;
}

Answer TestService::Ask(const std::string& method, const std::string& path, const std::string& body) {
  TestLink link;
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.body = body;
  return Ask(std::move(request), link);
}

nlohmann::json TestService::Post(const std::string& path, const nlohmann::json& body) {
  const Answer answer = Ask("POST", path, body.dump());
  EXPECT_EQ(answer.status, 200) << path << ": " << answer.body;
  return nlohmann::json::parse(answer.body, nullptr, false);
}

std::string TestService::Refused(const std::string& path, const nlohmann::json& body, int status) {
  const Answer answer = Ask("POST", path, body.dump());
  EXPECT_EQ(answer.status, status) << path << ": " << answer.body.substr(0, 300);
  const nlohmann::json document = nlohmann::json::parse(answer.body, nullptr, false);
  return document.is_object() && document.contains("error") ? document["error"].value("message", "") : answer.body;
}

std::vector<nlohmann::json> TestService::Stream(const std::string& path, nlohmann::json body) {
  body["stream"] = true;
  const Answer answer = Ask("POST", path, body.dump());
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.at("content-type"), "text/event-stream; charset=utf-8");
  std::vector<nlohmann::json> events;
  std::vector<std::string> texts = answer.Events();
  EXPECT_FALSE(texts.empty());
  if (texts.empty()) return events;
  EXPECT_EQ(texts.back(), "[DONE]");
  texts.pop_back();
  for (const std::string& text : texts) events.push_back(nlohmann::json::parse(text));
  return events;
}

}  // namespace nla::serve
