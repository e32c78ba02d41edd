// The bodies of errors.
#include "serve/http_error.h"

#include "serve/json_text.h"

namespace nla::serve {

std::string ValueErrorBody(const std::string& message) { return JsonText({{"error", {{"message", message}}}}); }

std::string MalformedErrorBody(const std::string& message) {
  return JsonText(
      {{"object", "error"}, {"message", message}, {"type", "Bad Request"}, {"param", nullptr}, {"code", 400}});
}

std::string OpenAiErrorBody(int status, const std::string& message) {
  const char* type = status == 401   ? "authentication_error"
                     : status == 404 ? "not_found_error"
                     : status == 429 ? "rate_limit_error"
                     : status < 500  ? "invalid_request_error"
                                     : "server_error";
  return JsonText({{"error", {{"message", message}, {"type", type}, {"param", nullptr}, {"code", status}}}});
}

}  // namespace nla::serve
