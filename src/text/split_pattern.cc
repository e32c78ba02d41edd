// One scanner for the expressions of Qwen and Llama-3, which differ in how many digits make a word, and the table.
#include "text/split_pattern.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/ascii.h"
#include "text/byte_level.h"
#include "text/kind_scanner.h"

namespace nla {
namespace {

using Kind = KindScanner::Kind;

bool IsLineBreak(char c) { return c == '\r' || c == '\n'; }

// (?i:'s|'t|'re|'ve|'m|'ll|'d): bytes of the contraction that `text` begins with, or 0. The library's engine folds
// U+017F, the long s, to s, and no other character beyond ASCII to any of these letters.
size_t FoldedContractionLength(std::string_view text) {
  if (text.substr(1).starts_with("\u017F")) return 3;
  return ContractionLength(text, AsciiLower);
}

// Takes the alternatives in the expression's order, at one offset after another.
class Scanner {
 public:
  Scanner(std::string_view text, int max_digits) : chars_(text), max_digits_(max_digits) {}

  size_t WordEnd(size_t begin) const {
    if (chars_[begin] == '\'') {
      const size_t length = FoldedContractionLength(chars_.text().substr(begin));
      if (length > 0) return begin + length;
    }
    const Kind first = chars_.At(begin);
    if (first.flags == kLetter) return chars_.RunEnd(begin, first);
    if (first.flags == kNumber) return NumberEnd(begin, first);
    const size_t next = begin + static_cast<size_t>(first.length);
    const Kind second = next < chars_.size() ? chars_.At(next) : Kind{kSpace, 0};
    // [^\r\n\p{L}\p{N}]?\p{L}+
    if (second.flags == kLetter && !IsLineBreak(chars_[begin])) return chars_.RunEnd(next, second);
    //  ?[^\s\p{L}\p{N}]+[\r\n]*
    if (first.flags == 0) return LineBreaksEnd(chars_.RunEnd(begin, first));
    if (chars_[begin] == ' ' && second.flags == 0) return LineBreaksEnd(chars_.RunEnd(next, second));
    return WhiteSpaceEnd(begin, first);
  }

 private:
  // \p{N}{1,max_digits}
  size_t NumberEnd(size_t offset, Kind kind) const {
    for (int digits = 0; kind.flags == kNumber && digits < max_digits_; ++digits) {
      offset += static_cast<size_t>(kind.length);
      if (offset == chars_.size()) break;
      kind = chars_.At(offset);
    }
    return offset;
  }

  size_t LineBreaksEnd(size_t offset) const {
    while (offset < chars_.size() && IsLineBreak(chars_[offset])) ++offset;
    return offset;
  }

  // \s*[\r\n]+|\s+(?!\S)|\s+
  size_t WhiteSpaceEnd(size_t begin, Kind first) const {
    const size_t end = chars_.RunEnd(begin, first);
    for (size_t last = end; last > begin; --last) {
      if (IsLineBreak(chars_[last - 1])) return last;
    }
    return chars_.SpaceEnd(begin, end);
  }

  KindScanner chars_;
  int max_digits_;
};

template <int max_digits>
void CutLikeQwen(std::string_view text, std::vector<std::string_view>& words) {
  const Scanner scanner(text, max_digits);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = scanner.WordEnd(begin);
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
}

struct Pattern {
  std::string_view models;
  std::string_view expression;
  WordCutter cutter;
};

constexpr Pattern kPatterns[] = {
    {"GPT-2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", CutWords},
    {"Qwen-2.5 and Qwen-3",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     CutLikeQwen<1>},
    {"Llama-3",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     CutLikeQwen<3>},
};

}  // namespace

WordCutter FindWordCutter(std::string_view expression) {
  for (const Pattern& pattern : kPatterns) {
    if (pattern.expression == expression) return pattern.cutter;
  }
  return nullptr;
}

std::string KnownWordCutters() {
  std::vector<std::string_view> models;
  for (const Pattern& pattern : kPatterns) models.push_back(pattern.models);
  return fmt::format("{}", fmt::join(models, ", "));
}

}  // namespace nla
