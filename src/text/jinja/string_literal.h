// What a quoted string of a template means: Python's escapes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/text.h"

namespace nla::jinja {

// `body` is what stands between the quotes. Nothing, and the escape in `problem`, when it holds one that is broken or
// not supported (\N{…}).
std::optional<Text> UnescapeLiteral(std::string_view body, std::string& problem);

}  // namespace nla::jinja
