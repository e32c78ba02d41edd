// OpenTelemetry's rules: an empty variable is an absent one, and the variable for traces goes before the general one.
#include "serve/trace_settings.h"

#include <unistd.h>

#include <charconv>
#include <string_view>

#include "base/ascii.h"
#include "base/fail.h"
#include "base/log.h"

namespace nla::serve {
namespace {

constexpr const char* kEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
constexpr const char* kTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

// What the first of these variables that is not empty holds, and its name.
struct Setting {
  std::string name, value;
};

Setting FirstSet(const Environment& environment, const std::vector<const char*>& names) {
  for (const char* name : names) {
    const char* value = environment(name);
    if (value != nullptr && *value != '\0') return {name, value};
  }
  return {};
}

std::string TracesPath(std::string base) {
  while (base.ends_with('/')) base.pop_back();
  return base + "/v1/traces";
}

void CheckUrl(const std::string& where, const std::string& url) {
  const std::string lowered = AsciiLowered(url);
  const bool known = lowered.starts_with("http://") || lowered.starts_with("https://");
  if (known && url.find("://") + 3 < url.size() && url.find_first_of(" \r\n\t") == std::string::npos) return;
  FailUsage({.where = where, .what = "is not the address of a collector", .found = url, .wanted = "http://HOST:4318"});
}

std::string_view WithoutSpace(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string PercentDecoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// "key=value,key=value", values percent-encoded.
std::vector<std::pair<std::string, std::string>> ReadPairs(const Setting& setting) {
  std::vector<std::pair<std::string, std::string>> pairs;
  std::string_view rest = setting.value;
  while (!rest.empty()) {
    const std::string_view one = WithoutSpace(rest.substr(0, rest.find(',')));
    rest = rest.find(',') == std::string_view::npos ? std::string_view() : rest.substr(rest.find(',') + 1);
    if (one.empty()) continue;
    const size_t equal = one.find('=');
    const std::string key(WithoutSpace(one.substr(0, equal)));
    if (equal == std::string_view::npos || key.empty()) {  // the value may be a secret
      FailUsage({.where = setting.name, .what = "holds an entry that is no pair", .wanted = "KEY=VALUE,KEY=VALUE"});
    }
    std::string value = PercentDecoded(WithoutSpace(one.substr(equal + 1)));
    if (value.find_first_of("\r\n") != std::string::npos || key.find_first_of(": \r\n") != std::string::npos) {
      FailUsage({.where = setting.name, .what = "holds a line break, or a name with a colon", .found = key});
    }
    pairs.emplace_back(key, std::move(value));
  }
  return pairs;
}

Attributes ReadResource(const Environment& environment) {
  std::string service = FirstSet(environment, {"OTEL_SERVICE_NAME"}).value;
  Attributes resource;
  for (auto& [key, value] : ReadPairs(FirstSet(environment, {"OTEL_RESOURCE_ATTRIBUTES"}))) {
    if (key != "service.name") {
      resource.emplace_back(key, std::move(value));
    } else if (service.empty()) {
      service = std::move(value);
    }
  }
  resource.insert(resource.begin(), {"service.name", service.empty() ? "nla" : service});
  resource.emplace_back("service.version", NLA_VERSION);
  resource.emplace_back("process.pid", int64_t{getpid()});
  return resource;
}

double ReadTimeout(const Setting& setting, double seconds) {
  if (setting.value.empty()) return seconds;
  int64_t milliseconds = 0;
  const char* end = setting.value.data() + setting.value.size();
  const auto [stop, error] = std::from_chars(setting.value.data(), end, milliseconds);
  if (error != std::errc() || stop != end || milliseconds < 1 || milliseconds > 3600000) {
    FailUsage({.where = setting.name, .what = "is out of range", .found = setting.value, .wanted = "milliseconds"});
  }
  return static_cast<double>(milliseconds) / 1000;
}

}  // namespace

TraceSettings ReadTraceSettings(const std::string& otlp, const Environment& environment) {
  TraceSettings settings;
  const Setting endpoint = FirstSet(environment, {kTracesEndpoint, kEndpoint});
  if (!otlp.empty()) {
    CheckUrl("--otlp", otlp);
    settings.url = TracesPath(otlp);
  } else {
    const bool off = AsciiLowered(FirstSet(environment, {"OTEL_SDK_DISABLED"}).value) == "true" ||
                     FirstSet(environment, {"OTEL_TRACES_EXPORTER"}).value == "none";
    if (off || endpoint.value.empty()) return settings;
    CheckUrl(endpoint.name, endpoint.value);
    settings.url = endpoint.name == kTracesEndpoint ? endpoint.value : TracesPath(endpoint.value);
  }
  const Setting protocol = FirstSet(environment, {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"});
  if (!protocol.value.empty() && protocol.value != "http/json") {
    spdlog::warn("serve: {} is {}: traces are sent as http/json all the same", protocol.name, protocol.value);
  }
  settings.headers =
      ReadPairs(FirstSet(environment, {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"}));
  settings.timeout_seconds =
      ReadTimeout(FirstSet(environment, {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"}),
                  settings.timeout_seconds);
  settings.resource = ReadResource(environment);
  return settings;
}

}  // namespace nla::serve
