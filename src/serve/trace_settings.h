// Where traces go: the option --otlp and OpenTelemetry's environment variables.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "serve/trace.h"

namespace nla::serve {

struct TraceSettings {
  std::string url = {};                                           // of the collector, path included; "": no traces
  std::vector<std::pair<std::string, std::string>> headers = {};  // of every request to it
  Attributes resource = {};                                       // service.name and what else is known
  double timeout_seconds = 10;                                    // for one request to it

  bool on() const { return !url.empty(); }
};

// A variable's value, or nullptr; std::getenv but for tests.
using Environment = std::function<const char*(const char*)>;

// `otlp`: the option's URL, to which /v1/traces is added; "": OTEL_EXPORTER_OTLP_TRACES_ENDPOINT as it is, else
// OTEL_EXPORTER_OTLP_ENDPOINT with /v1/traces. Reads as well OTEL_EXPORTER_OTLP_[TRACES_]HEADERS, _TIMEOUT
// (milliseconds) and _PROTOCOL, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED and
// OTEL_TRACES_EXPORTER. Errors (usage) name the option or the variable.
TraceSettings ReadTraceSettings(const std::string& otlp, const Environment& environment);

}  // namespace nla::serve
