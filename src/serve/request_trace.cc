// OpenTelemetry's names for what is known of HTTP requests (http.*) and of generating models (gen_ai.*).
#include "serve/request_trace.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

namespace nla::serve {
namespace {

constexpr std::array<std::string_view, 9> kKnownMethods{"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};
constexpr size_t kMostOfATraceState = 512;  // bytes that Trace Context asks to keep

// Of the wall's clock, which durations are not measured with.
int64_t NanosecondsAt(Clock::time_point when) {
  const auto ago = Clock::now() - when;
  const auto then = std::chrono::system_clock::now() - ago;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(then.time_since_epoch()).count();
}

bool IsServerError(int status) { return status >= 500 && status <= 599; }

void AddHttp(const HttpRequest& request, const RequestState& state, const HttpHandler::Outcome& outcome,
             Attributes& attributes) {
  const bool known = std::find(kKnownMethods.begin(), kKnownMethods.end(), request.method) != kKnownMethods.end();
  attributes.emplace_back("http.request.method", known ? request.method : "_OTHER");
  if (!known && !request.method.empty()) attributes.emplace_back("http.request.method_original", request.method);
  if (!state.route.empty()) attributes.emplace_back("http.route", state.route);
  attributes.emplace_back("http.response.status_code", int64_t{outcome.status});
  attributes.emplace_back("url.scheme", "http");
  attributes.emplace_back("url.path", request.path);
  attributes.emplace_back("client.address", request.client);
  const std::string_view agent = request.Header("User-Agent");
  if (!agent.empty()) attributes.emplace_back("user_agent.original", std::string(agent));
  if (IsServerError(outcome.status)) attributes.emplace_back("error.type", std::to_string(outcome.status));
}

void AddReplies(const RequestState& state, Attributes& attributes) {
  if (state.replies.count == 0) return;
  attributes.emplace_back("gen_ai.operation.name", state.route == "/v1/chat/completions" ? "chat" : "text_completion");
  attributes.emplace_back("gen_ai.provider.name", "nla");
  if (!state.model.empty()) {
    attributes.emplace_back("gen_ai.request.model", state.model);
    attributes.emplace_back("gen_ai.response.model", state.model);
  }
  if (!state.rid.empty()) attributes.emplace_back("gen_ai.response.id", state.rid);
  if (state.prompt_tokens > 0) attributes.emplace_back("gen_ai.usage.input_tokens", state.prompt_tokens);
  attributes.emplace_back("gen_ai.usage.output_tokens", state.reply_tokens);
  if (!state.replies.finish_reasons.empty()) {
    attributes.emplace_back("gen_ai.response.finish_reasons", state.replies.finish_reasons);
  }
  attributes.emplace_back("nla.replies", state.replies.count);
}

}  // namespace

std::vector<Span> SpansOf(const HttpRequest& request, const RequestState& state, const HttpHandler::Outcome& outcome) {
  const std::optional<TraceParent> caller = ParseTraceParent(request.Header("traceparent"));
  if (caller && !caller->sampled) return {};
  Span whole;
  whole.trace_id = caller ? caller->trace_id : NewTraceId();
  whole.id = NewSpanId();
  if (caller) {
    whole.parent_id = caller->span_id;
    const std::string_view trace_state = request.Header("tracestate");
    if (trace_state.size() <= kMostOfATraceState) whole.trace_state = trace_state;
  }
  AddHttp(request, state, outcome, whole.attributes);
  AddReplies(state, whole.attributes);
  const std::string& method = std::get<std::string>(whole.attributes[0].second);
  whole.name = method == "_OTHER" ? "HTTP" : method;
  if (!state.route.empty()) whole.name += " " + state.route;
  whole.kind = SpanKind::kServer;
  whole.remote_parent = caller.has_value();
  whole.failed = IsServerError(outcome.status);
  const Clock::time_point end = Clock::now();
  whole.begin_ns =
      NanosecondsAt(end - std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(outcome.seconds)));
  whole.end_ns = std::max(whole.begin_ns, NanosecondsAt(end));

  std::vector<Span> spans{std::move(whole)};
  // Of what did not come to its end, up to now.
  const auto part = [&](const char* name, std::optional<Clock::time_point> from, std::optional<Clock::time_point> to) {
    if (!from) return;
    Span span{.trace_id = spans[0].trace_id,
              .id = NewSpanId(),
              .parent_id = spans[0].id,
              .trace_state = spans[0].trace_state,
              .name = name};
    span.begin_ns = std::clamp(NanosecondsAt(*from), spans[0].begin_ns, spans[0].end_ns);
    span.end_ns = std::clamp(NanosecondsAt(to.value_or(end)), span.begin_ns, spans[0].end_ns);
    spans.push_back(std::move(span));
  };
  const ReplyRecord& replies = state.replies;
  part("queue", state.waits_since, state.waits_until);
  part("prefill", replies.submitted, replies.first_token ? replies.first_token : replies.ended);
  part("decode", replies.first_token, replies.ended);
  return spans;
}

}  // namespace nla::serve
