// What an OpenTelemetry collector does with POST /v1/traces.
#include "serve/collector_testing.h"

#include <gtest/gtest.h>

#include <thread>

namespace nla::serve {

TestCollector::TestCollector() : server_({.port = 0}, *this) {}

void TestCollector::Answer(int status, std::string body, double seconds) {
  const std::lock_guard lock(mutex_);
  status_ = status;
  body_ = std::move(body);
  seconds_ = seconds;
}

std::vector<nlohmann::json> TestCollector::Spans() const {
  std::vector<nlohmann::json> spans;
  for (const HttpRequest& request : taken_) {
    const nlohmann::json body = nlohmann::json::parse(request.body);
    for (const auto& resource : body.at("resourceSpans")) {
      for (const auto& scope : resource.at("scopeSpans")) {
        for (const auto& span : scope.at("spans")) spans.push_back(span);
      }
    }
  }
  return spans;
}

std::vector<nlohmann::json> TestCollector::AwaitSpans(size_t count) {
  std::unique_lock lock(mutex_);
  news_.wait_for(lock, std::chrono::seconds(10), [&] { return Spans().size() >= count; });
  return Spans();
}

std::vector<HttpRequest> TestCollector::requests() {
  const std::lock_guard lock(mutex_);
  return asked_;
}

std::optional<HttpResponse> TestCollector::Admit(const HttpRequest&, RequestState&, const ClientLink&) {
  return std::nullopt;
}

HttpResponse TestCollector::Handle(const HttpRequest& request, RequestState&, const ClientLink& client) {
  double seconds = 0;
  {
    const std::lock_guard lock(mutex_);
    seconds = seconds_;
  }
  const Clock::time_point begun = Clock::now();
  while (SecondsSince(begun) < seconds && !client.Gone()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const std::lock_guard lock(mutex_);
  asked_.push_back(request);
  if (status_ == 200) taken_.push_back(request);
  news_.notify_all();
  return {.status = status_, .body = body_};
}

nlohmann::json AttributesOf(const nlohmann::json& owner) {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& attribute : owner.at("attributes")) {
    const std::string key = attribute.at("key");
    EXPECT_FALSE(all.contains(key)) << key;
    EXPECT_EQ(attribute.at("value").size(), 1U) << attribute;
    all[key] = attribute.at("value").front();
  }
  return all;
}

}  // namespace nla::serve
