// Values of GGUF metadata. The layout of the file as a whole is gguf.cc's.
#include "weights/gguf_cursor.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdlib>

#include "base/fail.h"

namespace nla {
namespace {

// The numbers of the value types in the file.
enum ValueType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
constexpr int kDeepestArray = 4;
// A vocabulary of a million tokens has a few arrays of a million; a damaged count must not take the machine's memory.
constexpr uint64_t kMostElements = uint64_t{1} << 24;

static_assert(std::endian::native == std::endian::little, "GGUF values are read by copying little-endian bytes");

// Bytes that one value of the type takes at the least; 0 for an unknown type.
uint64_t LeastBytes(uint32_t type) {
  switch (type) {
    case kU8:
    case kI8:
    case kBool:
      return 1;
    case kU16:
    case kI16:
      return 2;
    case kU32:
    case kI32:
    case kF32:
      return 4;
    case kU64:
    case kI64:
    case kF64:
    case kString:
      return 8;
    case kArray:
      return 12;
    default:
      return 0;
  }
}

// The length of the valid UTF-8 character at the front of `text`, or 0.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and values past U+10FFFF show in the second byte.
  const unsigned char second = byte(1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
  return length;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// The double that the float's shortest decimal form names: 1e-05 stays 1e-05.
double ShortestDouble(float value) {
  if (!std::isfinite(value)) return value;
  return std::strtod(fmt::format("{}", value).c_str(), nullptr);
}

}  // namespace

void GgufCursor::Need(uint64_t count, const std::string& what) const {
  const uint64_t left = bytes_.size() - at_;
  if (count <= left) return;
  Fail({.where = fmt::format("{}: {}", file_, what),
        .what = "the file ends too early",
        .found = fmt::format("{} bytes left at offset {}", left, at_),
        .wanted = fmt::format("{} more", count),
        .mend = "The file is damaged or cut short; fetch it again"});
}

std::string GgufCursor::ReadString(const std::string& what) {
  const uint64_t length = ReadCount(1, what);
  std::string text(reinterpret_cast<const char*>(bytes_.data()) + at_, length);
  at_ += length;
  if (!IsUtf8(text)) Fail({.where = fmt::format("{}: {}", file_, what), .what = "a string that is not UTF-8"});
  return text;
}

uint64_t GgufCursor::ReadCount(uint64_t least, const std::string& what) {
  const auto count = Read<uint64_t>(what);
  if (count > (bytes_.size() - at_) / least) {
    Fail({.where = fmt::format("{}: {}", file_, what),
          .what = "a length reaches outside the file",
          .found = fmt::format("{} at offset {}", count, at_ - sizeof(count)),
          .wanted = fmt::format("at most {}", (bytes_.size() - at_) / least),
          .mend = "The file is damaged or cut short; fetch it again"});
  }
  return count;
}

nlohmann::json GgufCursor::ReadTypedValue(const std::string& what) {
  const auto type = Read<uint32_t>(what);
  return type == kArray ? ReadArray(1, what) : ReadScalar(type, what);
}

nlohmann::json GgufCursor::ReadScalar(uint32_t type, const std::string& what) {
  switch (type) {
    case kU8:
      return Read<uint8_t>(what);
    case kI8:
      return Read<int8_t>(what);
    case kU16:
      return Read<uint16_t>(what);
    case kI16:
      return Read<int16_t>(what);
    case kU32:
      return Read<uint32_t>(what);
    case kI32:
      return Read<int32_t>(what);
    case kU64:
      return Read<uint64_t>(what);
    case kI64:
      return Read<int64_t>(what);
    case kF32:
      return ShortestDouble(Read<float>(what));
    case kF64:
      return Read<double>(what);
    case kString:
      return ReadString(what);
    case kBool: {
      const auto value = Read<uint8_t>(what);
      if (value <= 1) return value == 1;
      Fail({.where = fmt::format("{}: {}", file_, what),
            .what = "a truth value is neither 0 nor 1",
            .found = std::to_string(value)});
    }
    default:
      Fail({.where = fmt::format("{}: {}", file_, what),
            .what = "unknown metadata type",
            .found = std::to_string(type),
            .wanted = "0 to 12"});
  }
}

nlohmann::json GgufCursor::ReadArray(int depth, const std::string& what) {
  const std::string where = fmt::format("{}: {}", file_, what);
  if (depth > kDeepestArray) Fail({.where = where, .what = fmt::format("arrays nested deeper than {}", kDeepestArray)});
  const auto type = Read<uint32_t>(what);
  const uint64_t least = LeastBytes(type);
  if (least == 0) Fail({.where = where, .what = "unknown type of array elements", .found = std::to_string(type)});
  const uint64_t count = ReadCount(least, what);
  elements_ += count;
  if (elements_ > kMostElements) {
    Fail({.where = where,
          .what = "too many metadata array elements",
          .found = std::to_string(elements_),
          .wanted = fmt::format("at most {} in the file", kMostElements)});
  }
  nlohmann::json array = nlohmann::json::array();
  for (uint64_t i = 0; i < count; ++i) {
    array.push_back(type == kArray ? ReadArray(depth + 1, what) : ReadScalar(type, what));
  }
  return array;
}

}  // namespace nla
