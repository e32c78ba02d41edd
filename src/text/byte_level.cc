// GPT-2's byte alphabet and a hand-written scanner equal to its word expression.
#include "text/byte_level.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "text/kind_scanner.h"
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

class WordScanner {
 public:
  explicit WordScanner(std::string_view text) : chars_(text) {}

  size_t WordEnd(size_t begin) const {
    if (chars_[begin] == '\'') {
      const size_t length = ContractionLength(chars_.text().substr(begin), std::identity());
      if (length > 0) return begin + length;
    }
    // " ?" belongs to the run behind it, unless that is white space too.
    const size_t run = chars_[begin] == ' ' && begin + 1 < chars_.size() ? begin + 1 : begin;
    const KindScanner::Kind kind = chars_.At(run);
    if (kind.flags != kSpace) return chars_.RunEnd(run, kind);
    return chars_.SpaceEnd(begin, chars_.RunEnd(begin, chars_.At(begin)));
  }

 private:
  KindScanner chars_;
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
