// The exporter's thread: gather, send, try again, give up.
#include "serve/trace_exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "serve/json_text.h"

namespace nla::serve {
namespace {

Clock::duration Lasting(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// "http://HOST:PORT/…" without a password or a query.
std::string ShownUrl(const std::string& url) {
  std::string shown = url.substr(0, url.find('?'));
  const size_t host = shown.find("://") + 3;
  const size_t at = shown.substr(0, shown.find('/', host)).rfind('@');
  if (at != std::string::npos && at >= host) shown.erase(host, at + 1 - host);
  return shown;
}

// Of an answer 200: a collector may refuse single spans ({"partialSuccess": {"rejectedSpans": "3"}}).
int64_t RejectedSpans(const std::string& body) {
  const Json answer = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("partialSuccess") || !answer["partialSuccess"].is_object()) return 0;
  const Json count = answer["partialSuccess"].value("rejectedSpans", Json());
  if (count.is_number_integer()) return count.get<int64_t>();
  return count.is_string() ? std::strtoll(count.get_ref<const std::string&>().c_str(), nullptr, 10) : 0;
}

}  // namespace

TraceExporter::TraceExporter(TraceExporterOptions options, Count count)
    : options_(std::move(options)), count_(std::move(count)), thread_([this] { Loop(); }) {}

TraceExporter::~TraceExporter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    end_ = Clock::now() + Lasting(options_.flush_seconds);
  }
  news_.notify_all();
  thread_.join();
}

void TraceExporter::Add(std::vector<Span> spans) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + spans.size() <= options_.most_waiting) {
      std::move(spans.begin(), spans.end(), std::back_inserter(waiting_));
      spans.clear();
    }
  }
  news_.notify_one();
  if (!spans.empty()) Drop(spans.size(), "they come faster than the collector takes them");
}

void TraceExporter::Loop() {
  const double seconds = options_.settings.timeout_seconds;
  HttpClient client({.connect_seconds = seconds, .stall_seconds = seconds, .retries = 0});
  for (;;) {
    std::vector<Span> batch;
    {
      std::unique_lock lock(mutex_);
      news_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      news_.wait_for(lock, Lasting(options_.gather_seconds),
                     [&] { return stopping_ || waiting_.size() >= options_.most_at_once; });
      const auto count = static_cast<std::ptrdiff_t>(std::min(waiting_.size(), options_.most_at_once));
      std::move(waiting_.begin(), waiting_.begin() + count, std::back_inserter(batch));
      waiting_.erase(waiting_.begin(), waiting_.begin() + count);
    }
    Send(client, batch);
  }
}

void TraceExporter::Send(HttpClient& client, const std::vector<Span>& batch) {
  const std::string body = OtlpText(options_.settings.resource, batch);
  double wait = options_.first_wait;
  for (int tries = 0;; ++tries, wait *= 2) {
    const Verdict verdict = Late() ? Verdict{.why = "the server is stopping"} : Try(client, body);
    if (verdict.why.empty()) {
      const auto count = static_cast<int64_t>(batch.size());
      const int64_t rejected = std::clamp<int64_t>(verdict.rejected, 0, count);
      count_(count - rejected, 0);
      if (rejected > 0) Drop(static_cast<size_t>(rejected), "the collector rejects them");
      return;
    }
    if (!verdict.may_retry || tries == options_.retries || !WaitToRetry(wait)) return Drop(batch.size(), verdict.why);
  }
}

TraceExporter::Verdict TraceExporter::Try(HttpClient& client, const std::string& body) {
  const Clock::time_point end = Clock::now() + Lasting(options_.settings.timeout_seconds);
  nla::HttpRequest request{.url = options_.settings.url, .headers = options_.settings.headers, .body = body};
  request.headers.emplace_back("Content-Type", "application/json");
  request.gives_up = [&] { return Clock::now() > end || Late(); };
  try {
    const nla::HttpResponse response = client.TryOnce(request);
    if (request.gives_up() && !response.error.empty()) return {.why = "it does not answer in time"};
    if (response.ok()) return {.rejected = RejectedSpans(response.body)};
    if (response.status != 0 && response.error.empty()) {
      return {.why = fmt::format("it answers {}", response.status), .may_retry = response.may_retry};
    }
    return {.why = response.error, .may_retry = response.may_retry};
  } catch (const std::exception& error) {  // the program was interrupted, or its memory is used up
    return {.why = error.what()};
  }
}

// False: the server stops, so that there is no time for another try.
bool TraceExporter::WaitToRetry(double seconds) {
  std::unique_lock lock(mutex_);
  if (stopping_) return false;
  news_.wait_for(lock, Lasting(seconds), [&] { return stopping_; });
  return true;
}

bool TraceExporter::Late() {
  const std::lock_guard lock(mutex_);
  return stopping_ && Clock::now() > end_;
}

void TraceExporter::Drop(size_t spans, const std::string& why) {
  count_(0, static_cast<int64_t>(spans));
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(warned_, true)) return;
  }
  spdlog::warn("serve: traces for {} are dropped: {}. It is said once; /metrics counts on",
               ShownUrl(options_.settings.url), why);
}

}  // namespace nla::serve
