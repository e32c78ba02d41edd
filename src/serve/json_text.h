// JSON values as text. What a model wrote may hold a cut character, which becomes U+FFFD instead of an exception.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace nla::serve {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

std::string JsonText(const OrderedJson& value);
// One frame of a text/event-stream.
std::string SseFrame(std::string_view data);
inline constexpr std::string_view kSseDone = "data: [DONE]\n\n";

}  // namespace nla::serve
