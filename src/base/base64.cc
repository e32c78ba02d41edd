// Base64 by a table of 256.
#include "base/base64.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/fail.h"

namespace nla {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kBad = 255;

constexpr std::array<uint8_t, 256> MakeValues() {
  std::array<uint8_t, 256> values{};
  values.fill(kBad);
  for (size_t i = 0; i < kAlphabet.size(); ++i) values[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  return values;
}

}  // namespace

std::string DecodeBase64(std::string_view text, const std::string& field) {
  static constexpr std::array<uint8_t, 256> values = MakeValues();
  const auto refuse = [&](const std::string& found) {
    FailUsage({.where = field, .what = "is not base64", .found = found, .wanted = "A-Z a-z 0-9 + /, padded with ="});
  };
  if (text.size() % 4 != 0) refuse(fmt::format("{} characters", text.size()));
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string bytes(text.size() / 4 * 3, '\0');
  char* out = bytes.data();
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t word = 0;
    uint8_t bad = 0;
    for (size_t j = 0; j < 4; ++j) {
      const bool pad = i + j >= text.size() - padding;
      const uint8_t value = pad ? uint8_t{0} : values[static_cast<uint8_t>(text[i + j])];
      bad |= value & 0xc0U;
      word = word << 6 | value;
    }
    if (bad != 0) refuse(fmt::format("another character near place {}", i));
    *out++ = static_cast<char>(word >> 16);
    *out++ = static_cast<char>(word >> 8);
    *out++ = static_cast<char>(word);
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

std::string EncodeBase64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (size_t j = 0; j < 3; ++j) word = word << 8 | (j < count ? static_cast<uint8_t>(bytes[i + j]) : 0U);
    for (size_t j = 0; j < 4; ++j) text += j <= count ? kAlphabet[word >> (18 - 6 * j) & 63U] : '=';
  }
  return text;
}

}  // namespace nla
