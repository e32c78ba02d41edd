// GPT-2's byte alphabet and a hand-written scanner equal to its word expression.
#include "text/byte_level.h"

#include <algorithm>
#include <unordered_map>

#include "text/unicode.h"

namespace nla {
namespace {

bool IsPrintableByte(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

std::array<uint32_t, 256> ByteCodePoints() {
  std::array<uint32_t, 256> code_points{};
  uint32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    code_points[byte] = IsPrintableByte(byte) ? static_cast<uint32_t>(byte) : next++;
  }
  return code_points;
}

// Scans one text. `kind` of a character: exactly one of kLetter, kNumber, kSpace, or 0 for anything else.
class WordScanner {
 public:
  explicit WordScanner(std::string_view text) : text_(text), ascii_(AsciiClasses()) {}

  size_t WordEnd(size_t begin) const {
    if (text_[begin] == '\'') {
      const size_t length = ContractionLength(text_.substr(begin));
      if (length > 0) return begin + length;
    }
    // " ?" belongs to the run behind it, unless that is white space too.
    const size_t run = text_[begin] == ' ' && begin + 1 < text_.size() ? begin + 1 : begin;
    const Kind kind = KindAt(run);
    if (kind.flags != kSpace) return RunEnd(run, kind);
    return SpaceEnd(begin);
  }

 private:
  struct Kind {
    uint8_t flags;
    int length;  // bytes of the character
  };

  Kind KindAt(size_t offset) const {
    constexpr uint8_t kMask = kLetter | kNumber | kSpace;
    const uint8_t byte = static_cast<uint8_t>(text_[offset]);
    if (byte < 0x80) return {static_cast<uint8_t>(ascii_[byte] & kMask), 1};
    const DecodedChar c = DecodeChar(text_.substr(offset));
    return {static_cast<uint8_t>(CharClass(c.code_point) & kMask), c.length};
  }

  size_t RunEnd(size_t offset, Kind kind) const {
    const uint8_t flags = kind.flags;
    while (kind.flags == flags) {
      offset += static_cast<size_t>(kind.length);
      if (offset == text_.size()) break;
      kind = KindAt(offset);
    }
    return offset;
  }

  // White space leaves its last character to the word that follows, if one follows and more than one is there.
  size_t SpaceEnd(size_t begin) const {
    const size_t end = RunEnd(begin, KindAt(begin));
    if (end == text_.size()) return end;
    const size_t last = LastCharOffset(text_.substr(begin, end - begin));
    return last == 0 ? end : begin + last;
  }

  static size_t ContractionLength(std::string_view text) {
    const auto at = [&](size_t i) { return i < text.size() ? text[i] : '\0'; };
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

  std::string_view text_;
  const std::array<uint8_t, 128>& ascii_;
};

}  // namespace

const std::array<std::string, 256>& ByteSpellings() {
  static const std::array<std::string, 256> spellings = [] {
    std::array<std::string, 256> made;
    const std::array<uint32_t, 256> code_points = ByteCodePoints();
    for (size_t byte = 0; byte < 256; ++byte) AppendUtf8(code_points[byte], made[byte]);
    return made;
  }();
  return spellings;
}

std::optional<std::string> BytesOfSpelling(std::string_view spelling) {
  static const std::unordered_map<uint32_t, char> bytes = [] {
    std::unordered_map<uint32_t, char> made;
    const std::array<uint32_t, 256> code_points = ByteCodePoints();
    for (size_t byte = 0; byte < 256; ++byte) made.emplace(code_points[byte], static_cast<char>(byte));
    return made;
  }();
  std::string out;
  while (!spelling.empty()) {
    const DecodedChar c = DecodeChar(spelling);
    const auto found = bytes.find(c.code_point);
    if (found == bytes.end()) return std::nullopt;
    out.push_back(found->second);
    spelling.remove_prefix(static_cast<size_t>(c.length));
  }
  return out;
}

void CutWords(std::string_view text, std::vector<std::string_view>& words) {
  const WordScanner scanner(text);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = scanner.WordEnd(begin);
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
}

}  // namespace nla
