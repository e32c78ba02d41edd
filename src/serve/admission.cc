// Keys, rates and turns.
#include "serve/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "serve/http_error.h"

namespace nla::serve {
namespace {

constexpr size_t kMostClients = 10000;  // whose rate is remembered

// In a time that does not depend on where the two differ.
bool EqualSecrets(std::string_view a, std::string_view b) {
  uint8_t difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<uint8_t>(a[i] ^ (b.empty() ? '\1' : b[i % b.size()]));
  }
  return difference == 0;
}

HttpResponse TooMany(const std::string& message, int64_t retry_after) {
  HttpResponse response{.status = 429, .body = ValueErrorBody(message)};
  response.headers.emplace_back("Retry-After", std::to_string(retry_after));
  return response;
}

// "http://host:port" of another server than the one that was asked: a web page elsewhere that uses its visitor's
// browser to reach this machine.
bool IsForeign(const HttpRequest& head) {
  const std::string_view origin = head.Header("Origin");
  if (origin.empty()) return false;
  const size_t scheme = origin.find("://");
  return scheme == std::string_view::npos || origin.substr(scheme + 3) != head.Header("Host");
}

}  // namespace

struct Admission::Permit {
  explicit Permit(Admission& owner) : admission(owner) {}
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;
  ~Permit() {
    const std::lock_guard lock(admission.mutex_);
    --admission.working_;
    admission.left_.notify_one();
  }
  Admission& admission;
};

std::optional<HttpResponse> Admission::CheckCaller(const HttpRequest& head) const {
  if (IsForeign(head)) {
    return HttpResponse{.status = 403, .body = ValueErrorBody("pages of other sites may not use this server")};
  }
  if (options_.api_key.empty()) return std::nullopt;
  const std::string_view given = head.Header("Authorization");
  constexpr std::string_view kScheme = "Bearer ";
  if (given.starts_with(kScheme) && EqualSecrets(given.substr(kScheme.size()), options_.api_key)) return std::nullopt;
  HttpResponse response{.status = 401, .body = ValueErrorBody("wanted the header Authorization: Bearer KEY")};
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

std::optional<HttpResponse> Admission::CheckRate(const std::string& client) {
  if (options_.requests_per_minute == 0) return std::nullopt;
  const double a_minute = static_cast<double>(options_.requests_per_minute);
  const Clock::time_point now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (allowances_.size() > kMostClients) {  // those who have been quiet for a minute have their whole allowance anyway
    std::erase_if(allowances_, [&](const auto& one) { return now - one.second.at > std::chrono::minutes(1); });
    if (allowances_.size() > kMostClients) allowances_.clear();
  }
  Allowance& mine = allowances_.try_emplace(client, Allowance{a_minute, now}).first->second;
  const double seconds = std::chrono::duration<double>(now - mine.at).count();
  mine = {std::min(a_minute, mine.left + seconds * a_minute / 60), now};
  if (mine.left >= 1) {
    mine.left -= 1;
    return std::nullopt;
  }
  const auto wait = static_cast<int64_t>(std::ceil((1 - mine.left) * 60 / a_minute));
  return TooMany(fmt::format("more than {} requests a minute (--requests-per-minute)", options_.requests_per_minute),
                 std::max<int64_t>(wait, 1));
}

std::optional<HttpResponse> Admission::Enter(RequestState& state, const ClientLink& client) {
  std::unique_lock lock(mutex_);
  if (working_ >= options_.max_concurrent) {
    if (waiting_ >= options_.max_waiting) {
      return TooMany(fmt::format("{} requests are being answered and {} wait (--max-concurrent, --max-waiting)",
                                 working_, waiting_),
                     1);
    }
    ++waiting_;
    while (working_ >= options_.max_concurrent) {
      left_.wait_for(lock, std::chrono::milliseconds(200));
      if (working_ >= options_.max_concurrent && client.Gone()) {
        --waiting_;
        throw ClientGone();
      }
    }
    --waiting_;
  }
  ++working_;
  state.permit = std::make_shared<Permit>(*this);
  return std::nullopt;
}

int64_t Admission::working() const {
  const std::lock_guard lock(mutex_);
  return working_;
}

int64_t Admission::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

}  // namespace nla::serve
