// Cuts the end of a text into pieces. What to say about them is context.cc's.
#include "datagen/providers/pieces.h"

#include <algorithm>

#include "text/unicode.h"

namespace nla {
namespace {

constexpr size_t kLongestWord = 20;  // characters; longer ones keep this many in all, from both ends
constexpr size_t kLongestRun = 4;

enum class CharKind { kWord, kCjk, kMark, kSpace, kLineFeed, kDropped };

bool Between(uint32_t c, uint32_t low, uint32_t high) { return low <= c && c <= high; }

CharKind KindOf(uint32_t c) {
  if (c == '\n' || c == 0x2028 || c == 0x2029) return CharKind::kLineFeed;
  if (c == '\t' || c == '\v' || c == '\f' || c == '\r') return CharKind::kSpace;
  // Control characters, soft hyphen, zero-width and direction marks, byte order mark.
  if (c < 0x20 || Between(c, 0x7F, 0x9F) || c == 0xAD || Between(c, 0x200B, 0x200F) || Between(c, 0x202A, 0x202E) ||
      Between(c, 0x2060, 0x2064) || c == 0xFEFF) {
    return CharKind::kDropped;
  }
  const uint8_t flags = CharClass(c);
  if (flags & kSpace) return CharKind::kSpace;
  if (Between(c, 0x3040, 0x30FF) || Between(c, 0x3400, 0x9FFF) || Between(c, 0x20000, 0x3FFFF)) return CharKind::kCjk;
  if (flags & (kLetter | kNumber)) return CharKind::kWord;
  // Combining marks of a script belong to its words; the classes do not tell them from signs, the blocks do.
  const bool combining = Between(c, 0x300, 0x36F) || Between(c, 0x483, 0x1FFF) || Between(c, 0x20D0, 0x20FF) ||
                         Between(c, 0xA800, 0xABFF) || Between(c, 0xFE20, 0xFE2F);
  return combining ? CharKind::kWord : CharKind::kMark;
}

struct Char {
  std::string_view bytes;
  CharKind kind;
};

bool IsAsciiDigit(std::string_view c) { return c.size() == 1 && c[0] >= '0' && c[0] <= '9'; }

bool IsApostrophe(std::string_view c) { return c == "'" || c == "’"; }

// Whether the mark at `i` joins two halves of one word ("don't", "3,000", "1.5").
bool JoinsWord(const std::vector<Char>& chars, size_t i) {
  if (i == 0 || i + 1 >= chars.size()) return false;
  const Char &before = chars[i - 1], &after = chars[i + 1];
  if (before.kind != CharKind::kWord || after.kind != CharKind::kWord) return false;
  if (IsApostrophe(chars[i].bytes)) return true;
  const bool decimal = chars[i].bytes == "." || chars[i].bytes == ",";
  return decimal && IsAsciiDigit(before.bytes) && IsAsciiDigit(after.bytes);
}

// The first and last characters with dots between when there are more than `limit`.
std::string Shorten(const std::vector<Char>& chars, size_t begin, size_t end, size_t limit) {
  std::string text;
  const bool cut = end - begin > limit;
  for (size_t i = begin; i < end; ++i) {
    const size_t at = i - begin, left = end - i;
    if (cut && at == limit / 2) text += "...";
    if (!cut || at < limit / 2 || left <= limit / 2) text += chars[i].bytes;
  }
  return text;
}

std::vector<Char> Characters(std::string_view text) {
  std::vector<Char> chars;
  chars.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const DecodedChar c = DecodeChar(text.substr(at));
    const CharKind kind = KindOf(c.code_point);
    if (kind != CharKind::kDropped) chars.push_back({text.substr(at, c.length), kind});
    at += c.length;
  }
  return chars;
}

// A stretch without white space is an address when it holds one of the signs that prose does not have inside words.
bool IsAddress(std::string_view stretch) {
  const auto has = [&](std::string_view sign) { return stretch.find(sign) != stretch.npos; };
  return has("://") || has("@") || has("www.") || std::count(stretch.begin(), stretch.end(), '/') >= 2;
}

void MarkAddresses(std::vector<Piece>& pieces) {
  for (size_t begin = 0; begin < pieces.size();) {
    size_t end = begin + 1;
    while (end < pieces.size() && !pieces[end].space_before && pieces[end].kind != PieceKind::kBreak) ++end;
    std::string stretch;
    for (size_t i = begin; i < end; ++i) stretch += pieces[i].text;
    if (IsAddress(stretch)) {
      for (size_t i = begin; i < end; ++i) pieces[i].in_address = true;
    }
    begin = end;
  }
}

}  // namespace

Pieces SplitEnd(std::string_view text, size_t max_bytes) {
  const bool cut = text.size() > max_bytes;
  if (cut) {
    size_t begin = text.size() - max_bytes;
    // At most three continuation bytes belong to the character that the cut goes through.
    for (int i = 0; i < 3 && begin < text.size() && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80; ++i) ++begin;
    text.remove_prefix(begin);
  }
  const std::string whole = RepairUtf8(text);
  const std::vector<Char> chars = Characters(whole);

  Pieces result;
  bool space = false;
  for (size_t i = 0; i < chars.size();) {
    if (chars[i].kind == CharKind::kSpace || chars[i].kind == CharKind::kLineFeed) {
      int feeds = 0;
      for (; i < chars.size() && (chars[i].kind == CharKind::kSpace || chars[i].kind == CharKind::kLineFeed); ++i) {
        feeds += chars[i].kind == CharKind::kLineFeed;
      }
      space = feeds == 0;
      if (feeds > 0) result.pieces.push_back({PieceKind::kBreak, feeds == 1 ? "\n" : "\n\n"});
      continue;
    }
    const size_t begin = i;
    const CharKind kind = chars[i++].kind;
    if (kind == CharKind::kWord) {
      while (i < chars.size() && (chars[i].kind == CharKind::kWord || JoinsWord(chars, i))) ++i;
    } else if (kind == CharKind::kMark) {
      while (i < chars.size() && chars[i].kind == CharKind::kMark) ++i;
    }
    const PieceKind piece_kind = kind == CharKind::kMark ? PieceKind::kMark : PieceKind::kWord;
    const size_t limit = kind == CharKind::kMark ? kLongestRun : kLongestWord;
    result.pieces.push_back({piece_kind, Shorten(chars, begin, i, limit), space});
    space = false;
  }
  result.trailing_space = space;
  MarkAddresses(result.pieces);
  if (cut && result.pieces.size() > 1) result.pieces.erase(result.pieces.begin());
  return result;
}

std::string Join(const std::vector<Piece>& pieces, size_t begin, size_t end) {
  std::string text;
  for (size_t i = begin; i < end; ++i) {
    const Piece& piece = pieces[i];
    if (piece.kind == PieceKind::kBreak) {
      text += piece.text.size() == 1 ? " / " : " // ";
    } else {
      if (piece.space_before && !text.empty() && text.back() != ' ') text += ' ';
      text += piece.text;
    }
  }
  return text;
}

}  // namespace nla
