// Runs of letters, numbers, white space and the rest in a text: what the scanners of byte_level.cc and split_pattern.cc
// are made of.
#pragma once

#include <array>
#include <string_view>

#include "text/unicode.h"

namespace nla {

// 's|'t|'re|'ve|'m|'ll|'d: bytes of the contraction that `text`, which begins with an apostrophe, begins with, or 0.
// `fold` is applied to its letters first.
template <typename Fold>
size_t ContractionLength(std::string_view text, const Fold& fold) {
  const auto at = [&](size_t i) { return i < text.size() ? fold(text[i]) : '\0'; };
  switch (at(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return at(2) == 'e' ? 3 : 0;
    case 'l':
      return at(2) == 'l' ? 3 : 0;
    default:
      return 0;
  }
}

// `text` is valid UTF-8 and outlives the scanner.
class KindScanner {
 public:
  struct Kind {
    uint8_t flags;  // exactly one of kLetter, kNumber, kSpace, or 0 for anything else
    int length;     // bytes of the character
  };

  explicit KindScanner(std::string_view text) : text_(text), ascii_(AsciiClasses()) {}

  std::string_view text() const { return text_; }
  size_t size() const { return text_.size(); }
  char operator[](size_t offset) const { return text_[offset]; }

  Kind At(size_t offset) const {
    constexpr uint8_t kMask = kLetter | kNumber | kSpace;
    const uint8_t byte = static_cast<uint8_t>(text_[offset]);
    if (byte < 0x80) return {static_cast<uint8_t>(ascii_[byte] & kMask), 1};
    const DecodedChar c = DecodeChar(text_.substr(offset));
    return {static_cast<uint8_t>(CharClass(c.code_point) & kMask), c.length};
  }

  // End of the run of characters of one kind that begins at `offset`, where `kind` is.
  size_t RunEnd(size_t offset, Kind kind) const {
    const uint8_t flags = kind.flags;
    while (kind.flags == flags) {
      offset += static_cast<size_t>(kind.length);
      if (offset == text_.size()) break;
      kind = At(offset);
    }
    return offset;
  }

  // \s+(?!\S)|\s+ over the white space begin..end: it leaves its last character to the word that follows, if one
  // follows and more than one is there.
  size_t SpaceEnd(size_t begin, size_t end) const {
    if (end == text_.size()) return end;
    const size_t last = LastCharOffset(text_.substr(begin, end - begin));
    return last == 0 ? end : begin + last;
  }

 private:
  std::string_view text_;
  const std::array<uint8_t, 128>& ascii_;
};

}  // namespace nla
