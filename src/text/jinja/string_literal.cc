// Python's escapes in string literals.
#include "text/jinja/string_literal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "text/unicode.h"

namespace nla::jinja {
namespace {

// What a one-letter escape stands for, or 0.
char32_t Simple(char c) {
  constexpr std::string_view kLetters = "\\'\"abfnrtv";
  constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
  const size_t at = kLetters.find(c);
  return at == kLetters.npos ? 0 : static_cast<char32_t>(kMeanings[at]);
}

// Reads up to `most` digits of the base; false when fewer than `least` are there.
bool ReadDigits(std::string_view& rest, int base, size_t least, size_t most, char32_t& value) {
  const std::string_view digits = rest.substr(0, most);
  uint32_t parsed = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed, base);
  const size_t count = static_cast<size_t>(end - digits.data());
  if (error != std::errc() || count < least) return false;
  value = parsed;
  rest.remove_prefix(count);
  return true;
}

// Jinja spells what is not ASCII as an escape before it reads escapes, so that a backslash before it meets another.
std::string Respelled(uint32_t c) {
  if (c < 0x80) return std::string(1, static_cast<char>(c));
  return c < 0x100 ? fmt::format("x{:02x}", c) : c < 0x10000 ? fmt::format("u{:04x}", c) : fmt::format("U{:08x}", c);
}

}  // namespace

std::optional<Text> UnescapeLiteral(std::string_view body, std::string& problem) {
  Text made;
  while (!body.empty()) {
    const size_t slash = std::min(body.find('\\'), body.size());
    made.Append(body.substr(0, slash), Origin::kTemplate);
    body.remove_prefix(slash);
    if (body.empty()) break;
    const std::string_view escape = body;
    const char letter = body[1];  // the lexer saw that something follows
    char32_t meaning = 0;
    bool good = true;
    if (letter >= '0' && letter <= '7') {
      body.remove_prefix(1);
      good = ReadDigits(body, 8, 1, 3, meaning);
    } else {
      body.remove_prefix(2);
      if (letter == '\n') continue;
      if (letter == 'x') {
        good = ReadDigits(body, 16, 2, 2, meaning);
      } else if (letter == 'u') {
        good = ReadDigits(body, 16, 4, 4, meaning);
      } else if (letter == 'U') {
        good = ReadDigits(body, 16, 8, 8, meaning);
      } else if (letter == 'N') {
        good = false;
      } else if (const char32_t simple = Simple(letter); simple != 0) {
        meaning = simple;
      } else {  // no escape: the backslash stays
        made.Push('\\', Origin::kTemplate);
        body = escape.substr(1);
        const DecodedChar next = DecodeChar(body);
        made.Append(Respelled(next.code_point), Origin::kTemplate);
        body.remove_prefix(static_cast<size_t>(next.length));
        continue;
      }
    }
    if (!good || meaning > 0x10FFFF || (meaning >= 0xD800 && meaning < 0xE000)) {
      problem = escape.substr(0, ValidUtf8Prefix(escape.substr(0, 12)));
      return std::nullopt;
    }
    made.Push(meaning, Origin::kTemplate);
  }
  return made;
}

}  // namespace nla::jinja
