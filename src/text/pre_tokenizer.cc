// The pre-tokenisers that are known, one row a type: how each is read and how it cuts.
#include "text/pre_tokenizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>

#include "text/byte_level.h"
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

struct Row {
  std::string_view type;
  void (*read)(const JsonView& section, Steps& steps);
};

constexpr Row kRows[] = {
    {"ByteLevel", ReadByteLevel},
    {"Digits", ReadDigits},
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

// The members of a Sequence, or the one step that the section is.
std::vector<JsonView> Members(const JsonView& section) {
  if (section.At("type").String() != "Sequence") return {section};
  const JsonView list = section.At("pretokenizers").Array();
  std::vector<JsonView> members;
  for (size_t i = 0; i < list.size(); ++i) members.push_back(list.At(i));
  return members;
}

}  // namespace

PreTokenizer PreTokenizer::FromJson(const JsonView& section) {
  if (section.value().is_null()) section.Unsupported("a pre-tokeniser that ends in ByteLevel");
  PreTokenizer made;
  std::vector<std::string> types;
  for (const JsonView& member : Members(section)) {
    ReadStep(member, made.steps_);
    types.push_back(member.At("type").String());
  }
  if (std::count(types.begin(), types.end(), "ByteLevel") != 1 || types.back() != "ByteLevel") {
    section.Fail("not a byte-level pre-tokeniser", fmt::format("{}", fmt::join(types, ", ")),
                 "exactly one ByteLevel, as the last step");
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
