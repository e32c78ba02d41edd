// Look-ups in the generated tables.
#include "text/jinja/character.h"

#include <algorithm>
#include <array>

namespace nla::jinja {
namespace {

uint16_t LookUp(char32_t c) {
  const auto& ranges = PyCharRanges();
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), c, [](char32_t x, const PyCharRange& r) { return x < r.first; });
  if (after == ranges.begin()) return 0;
  const PyCharRange& range = *(after - 1);
  return c <= range.last ? range.flags : 0;
}

uint16_t Flags(char32_t c) {
  static const std::array<uint16_t, 128> ascii = [] {
    std::array<uint16_t, 128> made{};
    for (char32_t i = 0; i < made.size(); ++i) made[i] = LookUp(i);
    return made;
  }();
  return c < ascii.size() ? ascii[c] : LookUp(c);
}

std::u32string Mapped(char32_t c, const std::vector<CaseRange>& ranges, const std::vector<CaseSpecial>& specials) {
  const auto special = std::lower_bound(specials.begin(), specials.end(), c,
                                        [](const CaseSpecial& s, char32_t x) { return s.code_point < x; });
  if (special != specials.end() && special->code_point == c) {
    std::u32string mapped;
    for (const char32_t m : special->mapped) {
      if (m != 0) mapped.push_back(m);
    }
    return mapped;
  }
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), c, [](char32_t x, const CaseRange& r) { return x < r.first; });
  if (after != ranges.begin()) {
    const CaseRange& range = *(after - 1);
    if (c <= range.last && (c - range.first) % range.stride == 0) {
      c = static_cast<char32_t>(static_cast<int64_t>(c) + range.delta);
    }
  }
  return std::u32string(1, c);
}

}  // namespace

bool IsChar(char32_t c, PyCharFlag flag) { return (Flags(c) & flag) != 0; }
bool IsSpace(char32_t c) { return IsChar(c, kPySpace); }

std::u32string UpperOf(char32_t c) { return Mapped(c, UpperRanges(), UpperSpecials()); }
std::u32string LowerOf(char32_t c) { return Mapped(c, LowerRanges(), LowerSpecials()); }
std::u32string TitleOf(char32_t c) { return Mapped(c, TitleRanges(), TitleSpecials()); }

}  // namespace nla::jinja
