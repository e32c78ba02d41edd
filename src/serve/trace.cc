// OTLP's JSON mapping: ids in hexadecimal, 64-bit integers as strings, enumerations as numbers.
#include "serve/trace.h"

#include <algorithm>

#include "serve/generate_request.h"
#include "serve/json_text.h"

namespace nla::serve {
namespace {

constexpr size_t kMostOfAText = 1024;  // bytes of an attribute
constexpr int kSampledFlag = 1, kParentKnownFlag = 0x100, kRemoteParentFlag = 0x200;
constexpr int kStatusError = 2;

bool IsHex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }
bool IsId(std::string_view text) { return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos; }

// A character that the cut leaves in part becomes U+FFFD when it is written.
OrderedJson TextValue(const std::string& text) { return {{"stringValue", text.substr(0, kMostOfAText)}}; }

OrderedJson ValueJson(const AttributeValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) return {{"intValue", std::to_string(*number)}};
  if (const auto* text = std::get_if<std::string>(&value)) return TextValue(*text);
  OrderedJson values = OrderedJson::array();
  for (const std::string& one : std::get<std::vector<std::string>>(value)) values.push_back(TextValue(one));
  return {{"arrayValue", {{"values", std::move(values)}}}};
}

OrderedJson AttributesJson(const Attributes& attributes) {
  OrderedJson list = OrderedJson::array();
  for (const auto& [key, value] : attributes) list.push_back({{"key", key}, {"value", ValueJson(value)}});
  return list;
}

OrderedJson SpanJson(const Span& span) {
  OrderedJson json{{"traceId", span.trace_id}, {"spanId", span.id}};
  if (!span.trace_state.empty()) json["traceState"] = span.trace_state;
  if (!span.parent_id.empty()) json["parentSpanId"] = span.parent_id;
  json["flags"] = kSampledFlag | kParentKnownFlag | (span.remote_parent ? kRemoteParentFlag : 0);
  json["name"] = span.name;
  json["kind"] = static_cast<int>(span.kind);
  json["startTimeUnixNano"] = std::to_string(span.begin_ns);
  json["endTimeUnixNano"] = std::to_string(span.end_ns);
  json["attributes"] = AttributesJson(span.attributes);
  json["status"] = span.failed ? OrderedJson{{"code", kStatusError}} : OrderedJson::object();
  return json;
}

}  // namespace

std::optional<TraceParent> ParseTraceParent(std::string_view header) {
  constexpr size_t kLength = 55;  // 00-<32>-<16>-<2>
  if (header.size() < kLength || header[2] != '-' || header[35] != '-' || header[52] != '-') return std::nullopt;
  const std::string_view version = header.substr(0, 2);
  const std::string_view trace = header.substr(3, 32);
  const std::string_view span = header.substr(36, 16);
  const std::string_view flags = header.substr(53, 2);
  if (!IsHex(version) || version == "ff" || !IsId(trace) || !IsId(span) || !IsHex(flags)) return std::nullopt;
  const bool longer = header.size() > kLength;
  if (longer && (version == "00" || header[kLength] != '-')) return std::nullopt;
  const char last = flags[1];
  const int low = last <= '9' ? last - '0' : last - 'a' + 10;
  return TraceParent{.trace_id = std::string(trace), .span_id = std::string(span), .sampled = (low & 1) != 0};
}

// FreshRid's digits are 128 random bits: none of its halves is ever all zeros in practice, but it must not be.
std::string NewTraceId() {
  std::string id = FreshRid();
  if (!IsId(id)) id.back() = '1';
  return id;
}

std::string NewSpanId() {
  std::string id = FreshRid().substr(0, 16);
  if (!IsId(id)) id.back() = '1';
  return id;
}

std::string OtlpText(const Attributes& resource, std::span<const Span> spans) {
  OrderedJson list = OrderedJson::array();
  for (const Span& span : spans) list.push_back(SpanJson(span));
  OrderedJson scope{{"scope", {{"name", "nla.serve"}, {"version", NLA_VERSION}}}, {"spans", std::move(list)}};
  OrderedJson whole{{"resource", {{"attributes", AttributesJson(resource)}}},
                    {"scopeSpans", OrderedJson::array({std::move(scope)})}};
  return JsonText({{"resourceSpans", OrderedJson::array({std::move(whole)})}});
}

}  // namespace nla::serve
