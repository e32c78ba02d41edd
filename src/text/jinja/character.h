// Characters as Python's str sees them: classes and case.
#pragma once

#include <string>

#include "text/jinja/unicode_tables.h"

namespace nla::jinja {

bool IsChar(char32_t c, PyCharFlag flag);
// Python's str.isspace, and \s of its regular expressions.
bool IsSpace(char32_t c);

// Full mappings: up to three characters. Lower leaves the final sigma to its caller.
std::u32string UpperOf(char32_t c);
std::u32string LowerOf(char32_t c);
std::u32string TitleOf(char32_t c);

}  // namespace nla::jinja
