// What the server counts, as Prometheus text; and its access log.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "serve/http_message.h"

namespace nla::serve {

// Counts of values up to each bound.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  void Add(double value);
  // Cumulative, as Prometheus has them, with +Inf, _sum and _count.
  std::string Text(const std::string& name, const std::string& help) const;

 private:
  std::vector<double> bounds_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
};

struct EngineReading {
  std::string name;  // "verbalizer", "base"
  EngineCounts counts;
};

// Thread-safe.
class ServerMetrics {
 public:
  ServerMetrics();
  // `route` is a pattern of the routes, never a path that a client made up.
  void CountRequest(const std::string& route, int status, double seconds);
  // One reply: its first token after so many seconds, its tokens.
  void CountFirstToken(double seconds);
  void CountReply(double seconds, int64_t tokens);
  void CountBatch(int64_t replies);
  // Spans of traces that the collector took, and those that it did not.
  void CountSpans(int64_t sent, int64_t dropped);
  std::string Text(const std::vector<EngineReading>& engines, int64_t working, int64_t waiting) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> requests_;
  int64_t spans_sent_ = 0, spans_dropped_ = 0;
  Histogram latency_, first_token_, reply_seconds_, reply_tokens_, batch_;
};

// One JSON line a request. Thread-safe.
class AccessLog {
 public:
  // "": none; "-": standard error; else a file that is appended to.
  explicit AccessLog(const std::string& target);
  void Write(const HttpRequest& request, const RequestState& state, const HttpHandler::Outcome& outcome);

 private:
  struct Close {
    void operator()(std::FILE* file) const;
  };
  std::mutex mutex_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace nla::serve
