// Who may ask, how often, and how many at a time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "serve/http_message.h"

namespace nla::serve {

struct AdmissionOptions {
  std::string api_key = {};         // "": everybody may ask
  int64_t max_concurrent = 64;      // requests that are worked on
  int64_t max_waiting = 256;        // requests that wait for their turn
  int64_t requests_per_minute = 0;  // of one client; 0: no limit
};

class Admission {
 public:
  explicit Admission(AdmissionOptions options) : options_(std::move(options)) {}

  // 401 without the key, 403 for a page of another site. Nothing is said of the key itself.
  std::optional<HttpResponse> CheckCaller(const HttpRequest& head) const;
  // 429 for a client above its rate; the allowance of a minute may be used at once.
  std::optional<HttpResponse> CheckRate(const std::string& client);
  // Waits for a turn and puts it into state.permit; 429 where too many wait already. ClientGone where it went
  // meanwhile.
  std::optional<HttpResponse> Enter(RequestState& state, const ClientLink& client);

  int64_t working() const;
  int64_t waiting() const;

 private:
  struct Allowance {
    double left = 0;
    Clock::time_point at;
  };
  struct Permit;

  AdmissionOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable left_;
  int64_t working_ = 0, waiting_ = 0;
  std::map<std::string, Allowance> allowances_;
};

}  // namespace nla::serve
