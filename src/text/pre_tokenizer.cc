// The pre-tokenisers that are known, one row a type: how each is read and how it cuts.
#include "text/pre_tokenizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>

#include "text/byte_level.h"
#include "text/split_pattern.h"
#include "text/unicode.h"

namespace nla {
namespace {

using Steps = std::vector<PreTokenizer::Step>;

// Each digit is a part of its own, or each run of digits.
void CutDigits(std::string_view piece, bool individual, std::vector<std::string_view>& parts) {
  size_t begin = 0;
  bool begin_is_digit = false;
  for (size_t offset = 0; offset < piece.size();) {
    const DecodedChar c = DecodeChar(piece.substr(offset));
    const bool is_digit = (CharClass(c.code_point) & kDigit) != 0;
    if (offset > begin && (is_digit != begin_is_digit || (is_digit && individual))) {
      parts.push_back(piece.substr(begin, offset - begin));
      begin = offset;
    }
    begin_is_digit = is_digit;
    offset += static_cast<size_t>(c.length);
  }
  if (begin < piece.size()) parts.push_back(piece.substr(begin));
}

void ReadDigits(const JsonView& section, Steps& steps) {
  const bool individual = section.At("individual_digits").Bool();
  steps.push_back([individual](std::string_view piece, std::vector<std::string_view>& parts) {
    CutDigits(piece, individual, parts);
  });
}

void ReadByteLevel(const JsonView& section, Steps& steps) {
  const JsonView prefix_space = section.At("add_prefix_space");
  if (prefix_space.Bool()) prefix_space.Unsupported("false");
  const std::optional<JsonView> use_regex = section.Find("use_regex");
  if (!use_regex || use_regex->Bool()) steps.push_back(CutWords);
}

// Each occurrence of `delimiter` ends a part.
void CutBehind(std::string_view piece, std::string_view delimiter, std::vector<std::string_view>& parts) {
  for (size_t at; (at = piece.find(delimiter)) != piece.npos;) {
    parts.push_back(piece.substr(0, at + delimiter.size()));
    piece.remove_prefix(at + delimiter.size());
  }
  if (!piece.empty()) parts.push_back(piece);
}

void ReadSplit(const JsonView& section, Steps& steps) {
  const JsonView pattern = section.At("pattern");
  const JsonView behavior = section.At("behavior");
  const JsonView invert = section.At("invert");
  if (invert.Bool()) invert.Unsupported("false");
  if (const auto delimiter = pattern.Find("String")) {
    if (behavior.String() != "MergedWithPrevious") behavior.Unsupported("MergedWithPrevious");
    if (delimiter->String().empty()) delimiter->Fail("empty pattern", "\"\"", "a string to look for");
    steps.push_back([text = delimiter->String()](std::string_view piece, std::vector<std::string_view>& parts) {
      CutBehind(piece, text, parts);
    });
    return;
  }
  const JsonView expression = pattern.At("Regex");
  if (behavior.String() != "Isolated") behavior.Unsupported("Isolated");
  const WordCutter cutter = FindWordCutter(expression.String());
  if (cutter == nullptr) expression.Unsupported("exactly the expression of one of " + KnownWordCutters());
  steps.push_back(cutter);
}

struct Row {
  std::string_view type;
  void (*read)(const JsonView& section, Steps& steps);
};

constexpr Row kRows[] = {
    {"ByteLevel", ReadByteLevel},
    {"Digits", ReadDigits},
    {"Split", ReadSplit},
};

void ReadStep(const JsonView& section, Steps& steps) {
  const JsonView type = section.At("type");
  std::vector<std::string_view> known;
  for (const Row& row : kRows) {
    if (type.String() == row.type) return row.read(section, steps);
    known.push_back(row.type);
  }
  type.Unsupported(fmt::format("{}", fmt::join(known, ", ")));
}

}  // namespace

PreTokenizer PreTokenizer::FromJson(const JsonView& section, bool byte_level) {
  PreTokenizer made;
  std::vector<std::string> types;
  if (!section.value().is_null()) {
    for (const JsonView& member : section.Members("pretokenizers")) {
      ReadStep(member, made.steps_);
      types.push_back(member.At("type").String());
    }
  }
  const auto count = std::count(types.begin(), types.end(), "ByteLevel");
  if (byte_level && (count != 1 || types.back() != "ByteLevel")) {
    section.Fail("not a byte-level pre-tokeniser, as the decoder wants it", fmt::format("{}", fmt::join(types, ", ")),
                 "exactly one ByteLevel, as the last step");
  }
  if (!byte_level && count != 0) {
    section.Fail("a byte-level pre-tokeniser, but another decoder", fmt::format("{}", fmt::join(types, ", ")),
                 "no ByteLevel, or the decoder ByteLevel");
  }
  return made;
}

std::vector<std::string_view> PreTokenizer::Cut(std::string_view text) const {
  std::vector<std::string_view> pieces{text};
  std::vector<std::string_view> parts;
  for (const Step& step : steps_) {
    parts.clear();
    for (const std::string_view piece : pieces) step(piece, parts);
    pieces.swap(parts);
  }
  return pieces;
}

}  // namespace nla
