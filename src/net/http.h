// An HTTP client over libcurl: one request with its redirects, and the same with retries. What the bytes mean is the
// caller's. No type of libcurl crosses this header.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace nla {

struct HttpOptions {
  double connect_seconds = 15;  // to open a connection
  double stall_seconds = 30;    // without a byte, an answer is given up
  int retries = 6;              // after the first try
  double first_wait = 1;        // seconds before the first retry; doubles each time, a little at random
  double longest_wait = 60;     // of our own waits
  double longest_asked = 600;   // of a wait that the server asks for; beyond it the request fails
};

struct HttpRequest {
  std::string url;
  // An Authorization header goes to the host of `url` alone, never on to another host, port or scheme.
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};  // of a POST; empty: GET
  // Takes the body of an answer with status 200 or 206 in pieces. Empty: it goes to HttpResponse::body.
  std::function<void(std::span<const std::byte>)> sink = {};
  // Called with the status and headers of the last answer before its body comes.
  std::function<void(int status, const std::map<std::string, std::string>& headers)> begins = {};
  // Asked of a whole answer with status 200: why it is of no use although another try may help, or nothing. The reason
  // becomes the answer's error.
  std::function<std::string(const std::string& body)> refuses = {};
  // Asked at least once a second while the answer is waited for: true ends the try, which is not made again.
  std::function<bool()> gives_up = {};
};

struct HttpResponse {
  int status = 0;                              // 0: no answer came, see `error`
  std::string error = {};                      // why no whole answer came
  bool may_retry = false;                      // another try can help (timeouts, cut bodies, 429, 5xx …)
  std::map<std::string, std::string> headers;  // of the last answer; names in lower case
  std::string body = {};
  bool ok() const { return error.empty() && status >= 200 && status < 300; }
};

// Keeps connections open between requests. Not thread-safe.
class HttpClient {
 public:
  explicit HttpClient(const HttpOptions& options = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // One try, with at most 10 redirects; a redirect from https to http is an error. Ctrl-C throws.
  HttpResponse TryOnce(const HttpRequest& request);
  // Tries until an answer comes that another try cannot better, or the retries are spent. Waits grow from try to try,
  // and are at least what Retry-After asks for.
  // `prepare` makes the request of each try anew (a resumed download asks for less).
  HttpResponse Run(const std::function<HttpRequest()>& prepare);
  HttpResponse Run(const HttpRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  HttpOptions options_;
};

// Whether two URLs have the same scheme, host and port. False where one is not a URL.
bool SameOrigin(const std::string& a, const std::string& b);
// Percent-encodes all but letters, digits, '-', '.', '_', '~' and the characters of `keep`.
std::string PercentEncode(const std::string& text, const std::string& keep = "");

}  // namespace nla
