// Marked strings: construction, comparison, search, and cutting. Case is text_case.cc's.
#include "text/jinja/text.h"

#include <algorithm>

#include "text/jinja/character.h"
#include "text/unicode.h"

namespace nla::jinja {
namespace {

// Knuth, Morris, Pratt: for each prefix of `needle`, the length of the longest proper prefix that is also its suffix.
template <typename At>
std::vector<size_t> Borders(size_t size, const At& at) {
  std::vector<size_t> borders(size, 0);
  for (size_t i = 1, length = 0; i < size; ++i) {
    while (length > 0 && at(i) != at(length)) length = borders[length - 1];
    if (at(i) == at(length)) ++length;
    borders[i] = length;
  }
  return borders;
}

// Offset of the first match of the needle in a text of `size`, or npos; `at` read both.
template <typename At, typename NeedleAt>
size_t Search(size_t size, const At& at, size_t needle_size, const NeedleAt& needle_at) {
  const std::vector<size_t> borders = Borders(needle_size, needle_at);
  for (size_t i = 0, length = 0; i < size; ++i) {
    while (length > 0 && at(i) != needle_at(length)) length = borders[length - 1];
    if (at(i) == needle_at(length)) ++length;
    if (length == needle_size) return i + 1 - needle_size;
  }
  return Text::npos;
}

bool IsLineEnd(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

std::vector<Text> SplitAtSpace(const Text& text, int64_t limit, bool from_end) {
  std::vector<Text> pieces;
  const auto space = [&](size_t i) { return IsSpace(text[i]); };
  size_t begin = 0;
  size_t end = text.size();
  while (true) {
    while (!from_end && begin < end && space(begin)) ++begin;
    while (from_end && end > begin && space(end - 1)) --end;
    if (begin == end) break;
    if (limit >= 0 && static_cast<int64_t>(pieces.size()) == limit) {
      pieces.push_back(text.Slice(begin, end - begin));
      break;
    }
    if (from_end) {
      size_t cut = end;
      while (cut > begin && !space(cut - 1)) --cut;
      pieces.push_back(text.Slice(cut, end - cut));
      end = cut;
    } else {
      size_t cut = begin;
      while (cut < end && !space(cut)) ++cut;
      pieces.push_back(text.Slice(begin, cut - begin));
      begin = cut;
    }
  }
  return pieces;
}

}  // namespace

Text::Text(std::string_view utf8, Origin origin) { Append(utf8, origin); }

Text::Text(std::u32string_view code_points, Origin origin) {
  for (const char32_t c : code_points) Push(c, origin);
}

void Text::Append(std::string_view utf8, Origin origin) {
  std::string repaired;
  if (ValidUtf8Prefix(utf8) != utf8.size()) {
    repaired = RepairUtf8(utf8);
    utf8 = repaired;
  }
  while (!utf8.empty()) {
    const DecodedChar next = DecodeChar(utf8);
    Push(next.code_point, origin);
    utf8.remove_prefix(static_cast<size_t>(next.length));
  }
}

Text Text::Slice(size_t begin, size_t count) const {
  Text made;
  if (begin < size()) made.units_ = units_.substr(begin, count);
  return made;
}

std::string Text::Utf8() const {
  std::string utf8;
  utf8.reserve(size());
  for (size_t i = 0; i < size(); ++i) AppendUtf8((*this)[i], utf8);
  return utf8;
}

bool Text::Matches(const Text& other, size_t offset) const {
  if (offset > size() || size() - offset < other.size()) return false;
  for (size_t i = 0; i < other.size(); ++i) {
    if ((*this)[offset + i] != other[i]) return false;
  }
  return true;
}

bool Text::operator==(const Text& other) const { return size() == other.size() && Matches(other, 0); }

bool Text::operator==(std::string_view ascii) const {
  if (size() != ascii.size()) return false;
  for (size_t i = 0; i < ascii.size(); ++i) {
    if ((*this)[i] != static_cast<unsigned char>(ascii[i])) return false;
  }
  return true;
}

std::strong_ordering Text::operator<=>(const Text& other) const {
  for (size_t i = 0; i < std::min(size(), other.size()); ++i) {
    if ((*this)[i] != other[i]) return (*this)[i] <=> other[i];
  }
  return size() <=> other.size();
}

size_t Text::Find(const Text& needle, size_t begin, size_t end) const {
  end = std::min(end, size());
  if (begin > end || end - begin < needle.size()) return npos;
  if (needle.empty()) return begin;
  const size_t found = Search(
      end - begin, [&](size_t i) { return (*this)[begin + i]; }, needle.size(), [&](size_t i) { return needle[i]; });
  return found == npos ? npos : begin + found;
}

size_t Text::FindLast(const Text& needle, size_t begin, size_t end) const {
  end = std::min(end, size());
  if (begin > end || end - begin < needle.size()) return npos;
  if (needle.empty()) return end;
  const size_t found = Search(
      end - begin, [&](size_t i) { return (*this)[end - 1 - i]; }, needle.size(),
      [&](size_t i) { return needle[needle.size() - 1 - i]; });
  return found == npos ? npos : end - found - needle.size();
}

Text StripText(const Text& text, const Text* chars, bool left, bool right) {
  std::u32string set;
  if (chars != nullptr) {
    for (size_t i = 0; i < chars->size(); ++i) set.push_back((*chars)[i]);
    std::sort(set.begin(), set.end());
  }
  const auto goes = [&](size_t i) {
    return chars == nullptr ? IsSpace(text[i]) : std::binary_search(set.begin(), set.end(), text[i]);
  };
  size_t begin = 0;
  size_t end = text.size();
  while (left && begin < end && goes(begin)) ++begin;
  while (right && end > begin && goes(end - 1)) --end;
  return text.Slice(begin, end - begin);
}

std::vector<Text> SplitText(const Text& text, const Text* separator, int64_t limit, bool from_end) {
  std::vector<Text> pieces;
  if (separator == nullptr) {
    pieces = SplitAtSpace(text, limit, from_end);
  } else if (from_end) {
    size_t end = text.size();
    while (limit < 0 || static_cast<int64_t>(pieces.size()) < limit) {
      const size_t found = text.FindLast(*separator, 0, end);
      if (found == Text::npos) break;
      pieces.push_back(text.Slice(found + separator->size(), end - found - separator->size()));
      end = found;
    }
    pieces.push_back(text.Slice(0, end));
  } else {
    size_t begin = 0;
    while (limit < 0 || static_cast<int64_t>(pieces.size()) < limit) {
      const size_t found = text.Find(*separator, begin);
      if (found == Text::npos) break;
      pieces.push_back(text.Slice(begin, found - begin));
      begin = found + separator->size();
    }
    pieces.push_back(text.Slice(begin));
  }
  if (from_end) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

std::vector<Text> SplitLines(const Text& text, bool keep_ends) {
  std::vector<Text> lines;
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end = begin;
    while (end < text.size() && !IsLineEnd(text[end])) ++end;
    size_t next = std::min(end + 1, text.size());
    if (next < text.size() && text[end] == '\r' && text[next] == '\n') ++next;
    lines.push_back(text.Slice(begin, (keep_ends ? next : end) - begin));
    begin = next;
  }
  return lines;
}

Text ReplaceText(const Text& text, const Text& from, const Text& to, int64_t limit) {
  Text made;
  size_t begin = 0;
  for (int64_t done = 0; limit < 0 || done < limit; ++done) {
    if (from.empty()) {  // before each character, and behind the last
      made.Append(to);
      if (begin == text.size()) return made;
      made.Append(text, begin++, 1);
      continue;
    }
    const size_t found = text.Find(from, begin);
    if (found == Text::npos) break;
    made.Append(text, begin, found - begin);
    made.Append(to);
    begin = found + from.size();
  }
  made.Append(text, begin, Text::npos);
  return made;
}

size_t CountText(const Text& text, const Text& needle) {
  if (needle.empty()) return text.size() + 1;
  size_t count = 0;
  for (size_t at = text.Find(needle); at != Text::npos; at = text.Find(needle, at + needle.size())) ++count;
  return count;
}

}  // namespace nla::jinja
