// Strings of templates: code points, each marked with where it came from. The mark follows a character through every
// operation, so that the rendered text still knows which of its characters a message brought.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nla::jinja {

enum class Origin : uint8_t {
  kTemplate,  // written in the template, or handed to it as trusted
  kMessage,   // everything else: messages, tools, numbers and structures turned into text
};

class Text {
 public:
  static constexpr size_t npos = std::u32string::npos;

  Text() = default;
  // Invalid UTF-8 is replaced by U+FFFD.
  Text(std::string_view utf8, Origin origin);
  explicit Text(std::u32string_view code_points, Origin origin);

  size_t size() const { return units_.size(); }
  bool empty() const { return units_.empty(); }
  char32_t operator[](size_t i) const { return units_[i] & ~kMessageBit; }
  Origin OriginAt(size_t i) const { return (units_[i] & kMessageBit) != 0 ? Origin::kMessage : Origin::kTemplate; }

  void Append(const Text& other) { units_ += other.units_; }
  void Append(std::string_view utf8, Origin origin);
  void Append(const Text& other, size_t begin, size_t count) { units_.append(other.units_, begin, count); }
  void Push(char32_t code_point, Origin origin) {
    units_.push_back(code_point | (origin == Origin::kMessage ? kMessageBit : 0));
  }
  void Reserve(size_t count) { units_.reserve(count); }

  Text Slice(size_t begin, size_t count = npos) const;
  std::string Utf8() const;

  // Comparisons and searches see the code points alone.
  bool operator==(const Text& other) const;
  bool operator==(std::string_view ascii) const;
  std::strong_ordering operator<=>(const Text& other) const;
  // The first or last occurrence that lies within begin..end; npos when there is none. Linear in the sizes.
  size_t Find(const Text& needle, size_t begin = 0, size_t end = npos) const;
  size_t FindLast(const Text& needle, size_t begin = 0, size_t end = npos) const;
  bool StartsWith(const Text& prefix) const { return Matches(prefix, 0); }
  bool EndsWith(const Text& suffix) const { return size() >= suffix.size() && Matches(suffix, size() - suffix.size()); }
  // `other` stands at `offset`.
  bool Matches(const Text& other, size_t offset) const;

 private:
  static constexpr char32_t kMessageBit = 0x80000000;
  std::u32string units_;  // code points, with kMessageBit where the origin is a message
};

// Operations of Python's str. `chars` null: white space.
Text StripText(const Text& text, const Text* chars, bool left, bool right);
// Pieces between occurrences of `separator` (null: runs of white space); at most `limit` cuts unless negative, counted
// from the end when `from_end`.
std::vector<Text> SplitText(const Text& text, const Text* separator, int64_t limit, bool from_end);
std::vector<Text> SplitLines(const Text& text, bool keep_ends);
// At most `limit` replacements unless negative.
Text ReplaceText(const Text& text, const Text& from, const Text& to, int64_t limit);
size_t CountText(const Text& text, const Text& needle);

Text UpperText(const Text& text);
Text LowerText(const Text& text);
Text TitleText(const Text& text);       // str.title
Text CapitalizeText(const Text& text);  // str.capitalize

}  // namespace nla::jinja
