// Prometheus text format 0.0.4, and access lines.
#include "serve/server_metrics.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/fail.h"
#include "serve/json_text.h"

namespace nla::serve {
namespace {

std::string Header(const std::string& name, const char* type, const std::string& help) {
  return fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
}

// One metric of all engines.
std::string PerEngine(const std::vector<EngineReading>& engines, const std::string& name, const char* type,
                      const std::string& help, int64_t EngineCounts::*member) {
  std::string text = Header(name, type, help);
  for (const EngineReading& engine : engines) {
    text += fmt::format("{}{{engine=\"{}\"}} {}\n", name, engine.name, engine.counts.*member);
  }
  return text;
}

std::string Single(const std::string& name, const char* type, const std::string& help, int64_t value) {
  return Header(name, type, help) + fmt::format("{} {}\n", name, value);
}

}  // namespace

void Histogram::Add(double value) {
  const auto place = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  ++counts_[place];
  sum_ += value;
}

std::string Histogram::Text(const std::string& name, const std::string& help) const {
  std::string text = Header(name, "histogram", help);
  uint64_t total = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    const std::string bound = i < bounds_.size() ? fmt::format("{}", bounds_[i]) : "+Inf";
    text += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bound, total);
  }
  return text + fmt::format("{0}_sum {1}\n{0}_count {2}\n", name, sum_, total);
}

ServerMetrics::ServerMetrics()
    : latency_({0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}),
      first_token_({0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}),
      reply_seconds_({0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}),
      reply_tokens_({1, 8, 16, 32, 64, 128, 256, 512, 1024, 4096}),
      batch_({1, 2, 4, 8, 16, 32, 64, 128, 256, 1024}) {}

void ServerMetrics::CountRequest(const std::string& route, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
  latency_.Add(seconds);
}

void ServerMetrics::CountFirstToken(double seconds) {
  const std::lock_guard lock(mutex_);
  first_token_.Add(seconds);
}

void ServerMetrics::CountReply(double seconds, int64_t tokens) {
  const std::lock_guard lock(mutex_);
  reply_seconds_.Add(seconds);
  reply_tokens_.Add(static_cast<double>(tokens));
}

void ServerMetrics::CountBatch(int64_t replies) {
  const std::lock_guard lock(mutex_);
  batch_.Add(static_cast<double>(replies));
}

void ServerMetrics::CountSpans(int64_t sent, int64_t dropped) {
  const std::lock_guard lock(mutex_);
  spans_sent_ += sent;
  spans_dropped_ += dropped;
}

std::string ServerMetrics::Text(const std::vector<EngineReading>& engines, int64_t working, int64_t waiting) const {
  std::string text;
  const auto counter = [&](const char* name, const char* help, int64_t EngineCounts::*member) {
    text += PerEngine(engines, name, "counter", help, member);
  };
  const auto gauge = [&](const char* name, const char* help, int64_t EngineCounts::*member) {
    text += PerEngine(engines, name, "gauge", help, member);
  };
  counter("nla_prompt_tokens_total", "Prompt tokens, cached ones among them.", &EngineCounts::prompt_tokens);
  counter("nla_cached_tokens_total", "Prompt tokens whose keys and values were there already.",
          &EngineCounts::cached_tokens);
  counter("nla_reply_tokens_total", "Tokens of replies.", &EngineCounts::reply_tokens);
  counter("nla_engine_steps_total", "Steps of the engine; reply tokens by steps is the mean batch.",
          &EngineCounts::steps);
  counter("nla_replies_finished_total", "Replies that ended by themselves.", &EngineCounts::finished);
  counter("nla_replies_aborted_total", "Replies that were aborted.", &EngineCounts::aborted);
  gauge("nla_replies_running", "Replies that are being written.", &EngineCounts::running);
  gauge("nla_replies_waiting", "Replies that wait for room.", &EngineCounts::waiting);
  gauge("nla_kv_tokens_used", "Tokens whose keys and values running replies hold.", &EngineCounts::kv_tokens_used);
  gauge("nla_kv_tokens_capacity", "Tokens whose keys and values can be held.", &EngineCounts::kv_tokens_total);
  text += Single("nla_http_requests_working", "gauge", "Requests that are worked on.", working);
  text += Single("nla_http_requests_waiting", "gauge", "Requests that wait for their turn.", waiting);
  const std::lock_guard lock(mutex_);
  text += Header("nla_http_requests_total", "counter", "Requests by route and status.");
  for (const auto& [key, count] : requests_) {
    text += fmt::format("nla_http_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", key.first, key.second, count);
  }
  text += Single("nla_trace_spans_sent_total", "counter", "Spans that the collector took (--otlp).", spans_sent_);
  text +=
      Single("nla_trace_spans_dropped_total", "counter", "Spans that it did not take, or not in time.", spans_dropped_);
  text += latency_.Text("nla_http_request_seconds", "From the arrival of a request to its last byte.");
  text += first_token_.Text("nla_time_to_first_token_seconds", "From a reply's submission to its first token.");
  text += reply_seconds_.Text("nla_reply_seconds", "From a reply's submission to its end.");
  text += reply_tokens_.Text("nla_reply_tokens", "Tokens of a reply.");
  text += batch_.Text("nla_request_replies", "Replies that one request asked for.");
  return text;
}

void AccessLog::Close::operator()(std::FILE* file) const {
  if (file != stderr) std::fclose(file);
}

AccessLog::AccessLog(const std::string& target) {
  if (target.empty()) return;
  file_.reset(target == "-" ? stderr : std::fopen(target.c_str(), "ae"));
  if (!file_) FailErrno(target, "cannot write the access log");
}

void AccessLog::Write(const HttpRequest& request, const RequestState& state, const HttpHandler::Outcome& outcome) {
  if (!file_) return;
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const OrderedJson line{{"time", fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", now)},
                         {"client", request.client},
                         {"method", request.method},
                         {"path", request.path},
                         {"status", outcome.status},
                         {"ms", std::round(outcome.seconds * 1e5) / 100},
                         {"bytes", outcome.bytes},
                         {"rid", state.rid.empty() ? OrderedJson(nullptr) : OrderedJson(state.rid)},
                         {"prompt_tokens", state.prompt_tokens},
                         {"completion_tokens", state.reply_tokens}};
  const std::string text = JsonText(line) + "\n";
  const std::lock_guard lock(mutex_);
  std::fwrite(text.data(), 1, text.size(), file_.get());
  std::fflush(file_.get());
}

}  // namespace nla::serve
