// The server's answers: finds the route, asks admission, runs the handler, words the errors, keeps the log.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "serve/routes.h"
#include "serve/trace_exporter.h"

namespace nla::serve {

struct ServiceOptions {
  AdmissionOptions admission = {};
  std::string access_log = {};  // as AccessLog's target
  TraceExporterOptions traces = {};
};

class Service : public HttpHandler {
 public:
  explicit Service(const ServiceOptions& options);

  // Everything is answered 503 before. The models are borrowed. `options` are shown by /server_info.
  void Open(Models& models, uint64_t seed, OrderedJson options);
  // From now on requests are answered 503; those that are being answered go on.
  void Close() { state_ = State::kStopping; }

  std::optional<HttpResponse> Admit(const HttpRequest& head, RequestState& state, const ClientLink& client) override;
  HttpResponse Handle(const HttpRequest& request, RequestState& state, const ClientLink& client) override;
  void Ended(const HttpRequest& request, const RequestState& state, const Outcome& outcome) noexcept override;

 private:
  enum class State { kStarting, kOpen, kStopping };

  Admission admission_;
  ServerMetrics metrics_;
  AccessLog log_;
  std::unique_ptr<TraceExporter> traces_;  // nullptr: there are none
  std::atomic<State> state_ = State::kStarting;
  std::unique_ptr<Context> context_;  // written before state_ is kOpen
  RouteTable routes_;                 // the same
};

}  // namespace nla::serve
