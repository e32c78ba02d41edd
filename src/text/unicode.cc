// UTF-8 decoding and repair, and the table of character classes built from the generated ranges.
#include "text/unicode.h"

#include <array>
#include <cstring>

#include "text/code_point_table.h"

namespace nla {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

const CodePointTable& ClassTable() {
  static const CodePointTable table = [] {
    std::vector<uint8_t> flags(kCodePoints, 0);
    for (const CharRange& range : CharRanges()) {
      for (uint32_t c = range.first; c <= range.last; ++c) flags[c] = range.flags;
    }
    return CodePointTable(flags);
  }();
  return table;
}

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// What may follow a lead byte: number of continuation bytes (-1: not a lead byte) and the range of the first of them.
struct LeadByte {
  int continuations;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
};

LeadByte ClassifyLead(uint8_t c) {
  if (c < 0x80) return {0};
  if (c < 0xC2) return {-1};
  if (c < 0xE0) return {1};
  if (c == 0xE0) return {2, 0xA0, 0xBF};
  if (c == 0xED) return {2, 0x80, 0x9F};
  if (c < 0xF0) return {2};
  if (c == 0xF0) return {3, 0x90, 0xBF};
  if (c < 0xF4) return {3};
  if (c == 0xF4) return {3, 0x80, 0x8F};
  return {-1};
}

// Bytes at the start of `text` that are a well-formed beginning of a character, and whether they are all of it.
struct CharPrefix {
  size_t length;
  bool whole;
};

CharPrefix ScanChar(std::string_view text) {
  const LeadByte lead = ClassifyLead(static_cast<uint8_t>(text[0]));
  if (lead.continuations < 0) return {0, false};
  size_t length = 1;
  while (length <= static_cast<size_t>(lead.continuations) && length < text.size()) {
    const uint8_t c = static_cast<uint8_t>(text[length]);
    if (c < (length == 1 ? lead.low : 0x80) || c > (length == 1 ? lead.high : 0xBF)) break;
    ++length;
  }
  return {length, length == static_cast<size_t>(lead.continuations) + 1};
}

}  // namespace

DecodedChar DecodeChar(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

size_t LastCharOffset(std::string_view text) {
  size_t offset = text.size() - 1;
  while (offset > 0 && IsContinuation(text[offset])) --offset;
  return offset;
}

size_t LastBytesOffset(std::string_view text, size_t count) {
  if (text.size() <= count) return 0;
  size_t begin = text.size() - count;
  while (begin < text.size() && IsContinuation(text[begin])) ++begin;
  return begin;
}

void AppendUtf8(uint32_t code_point, std::string& out) {
  const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

size_t ValidUtf8Prefix(std::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    uint64_t eight;
    if (text.size() - offset >= sizeof(eight)) {
      std::memcpy(&eight, text.data() + offset, sizeof(eight));
      if ((eight & 0x8080808080808080u) == 0) {
        offset += sizeof(eight);
        continue;
      }
    }
    const CharPrefix prefix = ScanChar(text.substr(offset));
    if (!prefix.whole) break;
    offset += prefix.length;
  }
  return offset;
}

size_t IllFormedLength(std::string_view text, bool* may_continue) {
  const CharPrefix prefix = ScanChar(text);
  if (may_continue != nullptr) *may_continue = prefix.length > 0 && prefix.length == text.size();
  return prefix.length == 0 ? 1 : prefix.length;
}

std::string RepairUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (true) {
    const size_t valid = ValidUtf8Prefix(text);
    out.append(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) return out;
    out.append(kReplacement);
    text.remove_prefix(IllFormedLength(text));
  }
}

uint8_t CharClass(uint32_t code_point) { return ClassTable().At(code_point); }

const std::array<uint8_t, 128>& AsciiClasses() {
  static const std::array<uint8_t, 128> classes = [] {
    std::array<uint8_t, 128> made;
    for (uint32_t c = 0; c < made.size(); ++c) made[c] = CharClass(c);
    return made;
  }();
  return classes;
}

}  // namespace nla
