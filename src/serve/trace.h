// Traces as OpenTelemetry has them: spans, the W3C headers that join them to their caller's, and OTLP's JSON.
// When spans are made is request_trace.h's, how they leave the house trace_exporter.h's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nla::serve {

using AttributeValue = std::variant<std::string, int64_t, std::vector<std::string>>;
using Attributes = std::vector<std::pair<std::string, AttributeValue>>;

enum class SpanKind { kInternal = 1, kServer = 2 };  // OTLP's numbers

struct Span {
  std::string trace_id;          // 32 hexadecimal digits
  std::string id;                // 16
  std::string parent_id = {};    // the same, or "" for the first of its trace
  std::string trace_state = {};  // the caller's, passed on as it came
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  bool remote_parent = false;
  int64_t begin_ns = 0, end_ns = 0;  // since 1970
  Attributes attributes = {};
  bool failed = false;
};

// Who asked, by the header `traceparent`.
struct TraceParent {
  std::string trace_id, span_id;
  bool sampled = false;
};
// Nothing for a header that W3C's Trace Context (version 00 and what later ones may add) does not allow.
std::optional<TraceParent> ParseTraceParent(std::string_view header);

// Ids as OpenTelemetry wants them: random, and not all zeros.
std::string NewTraceId();
std::string NewSpanId();

// The body of POST …/v1/traces. `resource` says whose spans they are. Long texts are cut.
std::string OtlpText(const Attributes& resource, std::span<const Span> spans);

}  // namespace nla::serve
