// Requests over libcurl's easy interface. Redirects are followed here, so that no header leaks to another host.
#include "net/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <optional>
#include <random>
#include <thread>

#include "base/ascii.h"
#include "base/fail.h"
#include "base/interrupt.h"
#include "base/log.h"

namespace nla {
namespace {

constexpr int kMostRedirects = 10;
constexpr size_t kLargestBody = size_t{64} << 20;  // of an answer without a sink
constexpr const char* kUserAgent = "nla/0.1";

std::string Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

// scheme://host:port in lower case; nullopt for what is not a URL.
std::optional<std::string> OriginOf(const std::string& text) {
  const std::unique_ptr<CURLU, UrlDeleter> url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return std::nullopt;
  std::string origin;
  for (const CURLUPart part : {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT}) {
    char* value = nullptr;
    if (curl_url_get(url.get(), part, &value, CURLU_DEFAULT_PORT) != CURLUE_OK) return std::nullopt;
    origin += (origin.empty() ? "" : ":") + AsciiLowered(value);
    curl_free(value);
  }
  return origin;
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool MayRetryStatus(int status) {
  return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

// Failures of the way there, not of the request itself.
bool MayRetryCode(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

// What one transfer's callbacks fill in.
struct Transfer {
  CURL* curl = nullptr;
  const HttpRequest* request = nullptr;
  HttpResponse response;
  bool body_begun = false;
  std::exception_ptr failure;  // thrown by a callback of ours; must not cross libcurl
};

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {
    transfer.response.headers.clear();  // of an interim answer
  } else if (const size_t colon = line.find(':'); colon != line.npos) {
    transfer.response.headers[AsciiLowered(std::string(line.substr(0, colon)))] = Trimmed(line.substr(colon + 1));
  }
  return size * count;
}

// Before the first byte of the body, or at the end of an answer without one.
void BeginBody(Transfer& transfer) {
  if (transfer.body_begun) return;
  transfer.body_begun = true;
  long status = 0;  // NOLINT(google-runtime-int): libcurl's type
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
  transfer.response.status = static_cast<int>(status);
  if (IsRedirect(transfer.response.status) || !transfer.request->begins) return;
  transfer.request->begins(transfer.response.status, transfer.response.headers);
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  try {
    BeginBody(transfer);
    const std::span<const char> bytes(data, size * count);
    const int status = transfer.response.status;
    if ((status == 200 || status == 206) && transfer.request->sink) {
      transfer.request->sink(std::as_bytes(bytes));
    } else if (transfer.response.body.size() + bytes.size() <= kLargestBody) {
      transfer.response.body.append(bytes.data(), bytes.size());
    } else {
      Fail({.where = transfer.request->url,
            .what = "the answer is too long",
            .wanted = fmt::format("at most {} bytes", kLargestBody)});
    }
    return size * count;
  } catch (...) {
    transfer.failure = std::current_exception();
    return 0;
  }
}

int OnProgress(void* user, curl_off_t /*total*/, curl_off_t /*now*/, curl_off_t /*upload_total*/,
               curl_off_t /*upload_now*/) {
  const HttpRequest& request = *static_cast<const Transfer*>(user)->request;
  return Interrupted() || (request.gives_up && request.gives_up()) ? 1 : 0;
}

// Seconds that the answer asks to wait: a number or a date.
std::optional<double> RetryAfter(const HttpResponse& response) {
  const auto found = response.headers.find("retry-after");
  if (found == response.headers.end()) return std::nullopt;
  char* end = nullptr;
  const double seconds = std::strtod(found->second.c_str(), &end);
  if (end != found->second.c_str() && *end == '\0' && seconds >= 0) return seconds;
  const time_t date = curl_getdate(found->second.c_str(), nullptr);
  if (date < 0) return std::nullopt;
  return std::max(0.0, std::difftime(date, std::time(nullptr)));
}

void Wait(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    ThrowIfInterrupted();
    const std::chrono::duration<double> left = end - std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::min<std::chrono::duration<double>>(left, std::chrono::milliseconds(50)));
  }
}

// Spread by a quarter, so that many clients do not come back together.
double Jittered(double seconds) {
  static thread_local std::minstd_rand random(std::random_device{}());
  return seconds * std::uniform_real_distribution<double>(0.75, 1.25)(random);
}

struct HeaderList {
  curl_slist* list = nullptr;
  void Add(const std::string& line) { list = curl_slist_append(list, line.c_str()); }
  ~HeaderList() { curl_slist_free_all(list); }
};

}  // namespace

struct HttpClient::Impl {
  CURL* curl = nullptr;
};

HttpClient::HttpClient(const HttpOptions& options) : impl_(std::make_unique<Impl>()), options_(options) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  NLA_CHECK(started == CURLE_OK);
  impl_->curl = curl_easy_init();
  NLA_CHECK(impl_->curl != nullptr);
}

HttpClient::~HttpClient() { curl_easy_cleanup(impl_->curl); }

namespace {

void SetOptions(CURL* curl, Transfer& transfer, const std::string& url, const HttpOptions& options) {
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_USERAGENT, kUserAgent);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_seconds * 1000));  // NOLINT
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(std::max(1.0, options.stall_seconds)));  // NOLINT
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &OnProgress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  if (const char* bundle = std::getenv("SSL_CERT_FILE")) curl_easy_setopt(curl, CURLOPT_CAINFO, bundle);
}

// One exchange without following anything; `next` gets the redirect's URL.
HttpResponse Exchange(CURL* curl, const HttpRequest& request, const std::string& url, const HttpOptions& options,
                      std::string& next) {
  Transfer transfer;
  transfer.curl = curl;
  transfer.request = &request;
  SetOptions(curl, transfer, url, options);
  const bool same_origin = SameOrigin(url, request.url);
  HeaderList headers;
  for (const auto& [name, value] : request.headers) {
    if (same_origin || AsciiLowered(name) != "authorization") headers.Add(fmt::format("{}: {}", name, value));
  }
  if (!request.body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.list);
  char reason[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  ThrowIfInterrupted();
  HttpResponse& response = transfer.response;
  if (code == CURLE_OK) {
    BeginBody(transfer);
    response.may_retry = MayRetryStatus(response.status);
    if (response.status == 200 && request.refuses) response.error = request.refuses(response.body);
    if (!response.error.empty()) response.may_retry = true;
    char* location = nullptr;
    curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location);
    if (IsRedirect(response.status) && location != nullptr) next = location;
  } else {
    response.error = *reason != '\0' ? reason : curl_easy_strerror(code);
    response.may_retry = MayRetryCode(code);
  }
  return std::move(response);
}

}  // namespace

HttpResponse HttpClient::TryOnce(const HttpRequest& request) {
  std::string url = request.url;
  for (int redirects = 0; redirects <= kMostRedirects; ++redirects) {
    std::string next;
    HttpResponse response = Exchange(impl_->curl, request, url, options_, next);
    if (next.empty()) return response;
    if (url.starts_with("https:") && !next.starts_with("https:")) {
      response.error = "was sent on from https to " + next.substr(0, next.find('?'));
      return response;
    }
    url = next;
  }
  HttpResponse response;
  response.error = fmt::format("was sent on more than {} times", kMostRedirects);
  return response;
}

HttpResponse HttpClient::Run(const std::function<HttpRequest()>& prepare) {
  double own_wait = options_.first_wait;
  for (int tries = 0;; ++tries) {
    const HttpRequest request = prepare();
    HttpResponse response = TryOnce(request);
    if (!response.may_retry || tries == options_.retries) return response;
    const std::optional<double> asked = RetryAfter(response);
    if (asked && *asked > options_.longest_asked) {
      response.error = fmt::format("answered {} and asks to wait {:.0f} seconds", response.status, *asked);
      return response;
    }
    const double wait = std::max(asked.value_or(0), Jittered(own_wait));
    spdlog::info("{}: {}; trying again in {:.1f} s ({} of {})", request.url.substr(0, request.url.find('?')),
                 response.error.empty() ? fmt::format("answered {}", response.status) : response.error, wait, tries + 1,
                 options_.retries);
    Wait(wait);
    own_wait = std::min(own_wait * 2, options_.longest_wait);
  }
}

HttpResponse HttpClient::Run(const HttpRequest& request) {
  return Run([&] { return request; });
}

bool SameOrigin(const std::string& a, const std::string& b) {
  const std::optional<std::string> first = OriginOf(a);
  return first && first == OriginOf(b);
}

std::string PercentEncode(const std::string& text, const std::string& keep) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte < 128 && (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string::npos);
    out += plain || keep.find(c) != std::string::npos ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return out;
}

}  // namespace nla
