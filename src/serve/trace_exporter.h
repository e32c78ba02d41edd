// Sends spans to a collector from a thread of its own. Nobody waits for it: what a slow, refusing or dead collector
// does not take in time is dropped and counted.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "net/http.h"
#include "serve/trace.h"
#include "serve/trace_settings.h"

namespace nla::serve {

struct TraceExporterOptions {
  TraceSettings settings;
  size_t most_waiting = 2048;  // spans; further ones are dropped
  size_t most_at_once = 512;   // spans of one request to the collector
  double gather_seconds = 1;   // from a span's arrival to its sending
  double first_wait = 1;       // seconds before a batch is sent again; doubles each time
  int retries = 4;             // of one batch
  double flush_seconds = 3;    // for what waits when the exporter ends
};

class TraceExporter {
 public:
  // Told how many spans were taken and how many dropped, on any thread.
  using Count = std::function<void(int64_t sent, int64_t dropped)>;

  TraceExporter(TraceExporterOptions options, Count count);
  TraceExporter(const TraceExporter&) = delete;
  TraceExporter& operator=(const TraceExporter&) = delete;
  ~TraceExporter();  // sends what waits, for flush_seconds at most

  // The spans of one request: all of them wait to be sent, or none. Does not wait. Thread-safe.
  void Add(std::vector<Span> spans);

 private:
  struct Verdict {
    std::string why = {};  // it was not taken; "": it was
    bool may_retry = false;
    int64_t rejected = 0;  // spans of a batch that was taken
  };
  void Loop();
  void Send(HttpClient& client, const std::vector<Span>& batch);
  Verdict Try(HttpClient& client, const std::string& body);
  bool WaitToRetry(double seconds);
  bool Late();
  void Drop(size_t spans, const std::string& why);

  TraceExporterOptions options_;
  Count count_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<Span> waiting_;    // under mutex_
  bool stopping_ = false;       // under mutex_
  Clock::time_point end_ = {};  // under mutex_: when it stops, the last moment to send
  bool warned_ = false;         // under mutex_
  std::thread thread_;          // last: it uses all of the above
};

}  // namespace nla::serve
