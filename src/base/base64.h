// Base64 (RFC 4648, padded).
#pragma once

#include <string>
#include <string_view>

namespace nla {

// `field` names the text in errors.
std::string DecodeBase64(std::string_view text, const std::string& field);
std::string EncodeBase64(std::string_view bytes);

}  // namespace nla
