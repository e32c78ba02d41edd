// UTF-8 and character classes for the tokenizer: decoding, repair of invalid bytes, and the classes of the
// pre-tokenisers.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nla {

// Bits of CharClass: the classes exactly as the `tokenizers` library has them (three engines with their own Unicode
// versions are at work in it, hence the near-duplicates).
enum CharFlag : uint8_t {
  kLetter = 1,     // \p{L} of the pre-tokenisers' regex engine
  kNumber = 2,     // \p{N} of the same
  kSpace = 4,      // \s of the same
  kDigit = 8,      // what the Digits pre-tokeniser cuts out
  kWord = 16,      // \w around an added token with single_word
  kStripped = 32,  // \s around an added token with lstrip or rstrip
};

// Code points first..last share `flags`; ranges ascend and do not overlap.
struct CharRange {
  uint32_t first;
  uint32_t last;
  uint8_t flags;
};
const std::vector<CharRange>& CharRanges();

struct DecodedChar {
  uint32_t code_point;
  int length;  // bytes
};

// The character at the start of `text`, which is valid UTF-8 and not empty.
DecodedChar DecodeChar(std::string_view text);
// Offset of the last character of `text`, which is valid UTF-8 and not empty.
size_t LastCharOffset(std::string_view text);
// Where the last `count` bytes of `text` begin, or the first character among them where that is inside of one. 0 where
// it is no longer than that.
size_t LastBytesOffset(std::string_view text, size_t count);
void AppendUtf8(uint32_t code_point, std::string& out);

// Length of the longest prefix of `text` that is whole, valid UTF-8 characters.
size_t ValidUtf8Prefix(std::string_view text);
// Length of the ill-formed piece that starts `text`: the maximal subpart that one U+FFFD replaces (Unicode 3.9, as
// Python's errors="replace" does). `text` is not empty and its first character is not valid. `may_continue` is set when
// more bytes at the end could still complete a character.
size_t IllFormedLength(std::string_view text, bool* may_continue = nullptr);
// Each maximal ill-formed subpart becomes U+FFFD.
std::string RepairUtf8(std::string_view text);

// Flags of one code point.
uint8_t CharClass(uint32_t code_point);
// The same of the code points below 128, for loops that see mostly those.
const std::array<uint8_t, 128>& AsciiClasses();

}  // namespace nla
