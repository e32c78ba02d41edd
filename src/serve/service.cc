// From heads and bodies to routes and back.
#include "serve/service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/log.h"
#include "nla/error.h"
#include "serve/http_error.h"
#include "serve/request_trace.h"
#include "serve/worker.h"

namespace nla::serve {
namespace {

HttpResponse ErrorAnswer(ErrorStyle style, int status, const std::string& message) {
  const bool open_ai = style == ErrorStyle::kOpenAi;
  return {.status = status, .body = open_ai ? OpenAiErrorBody(status, message) : ValueErrorBody(message)};
}

// libtorch appends a stack trace to its messages.
std::string FirstLine(const char* text) {
  const std::string_view whole = text;
  return std::string(whole.substr(0, whole.find('\n')));
}

}  // namespace

Service::Service(const ServiceOptions& options) : admission_(options.admission), log_(options.access_log) {
  if (!options.traces.settings.on()) return;
  const auto count = [this](int64_t sent, int64_t dropped) { metrics_.CountSpans(sent, dropped); };
  traces_ = std::make_unique<TraceExporter>(options.traces, count);
}

void Service::Open(Models& models, uint64_t seed, OrderedJson options) {
  context_ = std::make_unique<Context>(models, metrics_, admission_);
  context_->seed = seed;
  context_->options = std::move(options);
  routes_ = MakeRoutes(*context_);
  state_ = State::kOpen;
}

std::optional<HttpResponse> Service::Admit(const HttpRequest& head, RequestState& state, const ClientLink& client) {
  const State now = state_;
  if (now != State::kOpen) {
    HttpResponse response{
        .status = 503,
        .body = ValueErrorBody(now == State::kStarting ? "the server is starting" : "the server is stopping")};
    response.headers.emplace_back("Retry-After", "5");
    return response;
  }
  const std::string method = head.method == "HEAD" ? "GET" : head.method;
  const auto same_path = [&](const Route& route) { return route.path == head.path; };
  const auto has_method = [&](const Route& route) {
    return std::find(route.methods.begin(), route.methods.end(), method) != route.methods.end();
  };
  const auto route = std::find_if(routes_.begin(), routes_.end(), same_path);
  const bool open = route != routes_.end() && route->rule == Rule::kOpen;
  if (!open) {
    if (auto refusal = admission_.CheckCaller(head)) return refusal;
  }
  if (route == routes_.end()) {
    return HttpResponse{
        .status = 404, .body = ValueErrorBody(fmt::format("no such address: {}. /openapi.json lists them", head.path))};
  }
  state.route = route->path;
  if (!has_method(*route)) {
    const std::string allowed = fmt::format("{}", fmt::join(route->methods, ", "));
    HttpResponse response{.status = 405,
                          .body = ValueErrorBody(fmt::format("{} is asked with {}", head.path, allowed))};
    response.headers.emplace_back("Allow", allowed);
    return response;
  }
  if (route->rule != Rule::kWork) return std::nullopt;
  if (auto refusal = admission_.CheckRate(head.client)) return refusal;
  state.waits_since = Clock::now();
  auto refusal = admission_.Enter(state, client);
  state.waits_until = Clock::now();
  return refusal;
}

HttpResponse Service::Handle(const HttpRequest& request, RequestState& state, const ClientLink& client) {
  const auto route =
      std::find_if(routes_.begin(), routes_.end(), [&](const Route& one) { return one.path == state.route; });
  Call call{request, state, client};
  try {
    const SmallTensorWork small;
    return route->run(call);
  } catch (const ClientGone&) {
    throw;
  } catch (const MalformedBody& error) {
    if (route->errors == ErrorStyle::kOpenAi) return ErrorAnswer(ErrorStyle::kOpenAi, 400, error.what());
    return {.status = 400, .body = MalformedErrorBody(error.what())};
  } catch (const HttpError& error) {
    return ErrorAnswer(route->errors, error.status(), error.what());
  } catch (const Error& error) {
    return ErrorAnswer(route->errors, error.kind() == ErrorKind::kUsage ? 400 : 500, error.what());
  } catch (const std::bad_alloc&) {
    return ErrorAnswer(route->errors, 503, "out of memory");
  } catch (const std::exception& error) {
    spdlog::error("serve: {} {}: {}", request.method, request.path, error.what());
    return ErrorAnswer(route->errors, 500, FirstLine(error.what()));
  }
}

void Service::Ended(const HttpRequest& request, const RequestState& state, const Outcome& outcome) noexcept {
  try {
    metrics_.CountRequest(state.route.empty() ? "other" : state.route, outcome.status, outcome.seconds);
    log_.Write(request, state, outcome);
  } catch (const std::exception& error) {
    spdlog::warn("serve: the access log lost a line: {}", error.what());
  }
  if (!traces_) return;
  try {
    traces_->Add(SpansOf(request, state, outcome));
  } catch (const std::exception& error) {
    spdlog::warn("serve: the traces lost a request: {}", error.what());
  }
}

}  // namespace nla::serve
