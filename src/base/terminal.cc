// Widths follow Unicode's East Asian Width in coarse ranges: too wide only cuts a line early.
#include "base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/ascii.h"

namespace nla {
namespace {

constexpr char32_t kInvalid = 0xFFFFFFFF;

// The character that begins at `at`, which moves past it.
char32_t NextCharacter(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at++);
  if (first < 0x80) return first;
  const size_t more = first >= 0xC2 && first < 0xE0   ? 1
                      : first >= 0xE0 && first < 0xF0 ? 2
                      : first >= 0xF0 && first < 0xF5 ? 3
                                                      : 0;
  if (more == 0) return kInvalid;
  char32_t character = first & (0x3FU >> more);
  for (size_t i = 0; i < more; ++i) {
    if (at >= text.size() || (byte(at) & 0xC0) != 0x80) return kInvalid;
    character = character << 6 | (byte(at++) & 0x3FU);
  }
  return character;
}

int Cells(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  constexpr Range kWide[] = {{0x1100, 0x115F}, {0x2600, 0x27BF},   {0x2B00, 0x2BFF},  {0x2E80, 0xA4CF},
                             {0xAC00, 0xD7A3}, {0xF900, 0xFAFF},   {0xFE10, 0xFE6F},  {0xFF00, 0xFF60},
                             {0xFFE0, 0xFFE6}, {0x1F000, 0x1FAFF}, {0x20000, 0x3FFFD}};
  return std::any_of(std::begin(kWide), std::end(kWide), [&](Range r) { return c >= r.first && c <= r.last; }) ? 2 : 1;
}

bool IsSpace(char32_t c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0x2028 || c == 0x2029; }

// Controls, and marks that change the direction of what follows or have no width of their own.
bool IsLeftOut(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

}  // namespace

std::optional<TerminalSize> ErrorTerminal() {
  if (isatty(STDERR_FILENO) == 0) return std::nullopt;
  const char* const kind = std::getenv("TERM");
  if (kind == nullptr || std::string_view(kind).empty() || std::string_view(kind) == "dumb") return std::nullopt;
  TerminalSize size;
  winsize found{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &found) == 0) {
    if (found.ws_col > 0) size.columns = found.ws_col;
    if (found.ws_row > 0) size.rows = found.ws_row;
  }
  return size;
}

bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string lowered = AsciiLowered(value);
    return lowered.find("utf-8") != std::string::npos || lowered.find("utf8") != std::string::npos;
  }
  return false;
}

int DisplayWidth(std::string_view text) {
  int cells = 0;
  for (size_t at = 0; at < text.size();) cells += Cells(NextCharacter(text, at));
  return cells;
}

std::string FitLine(std::string_view text, int cells, bool utf8) {
  const std::string_view ellipsis = utf8 ? "…" : "...";
  const int reserved = utf8 ? 1 : 3;
  std::string line;
  int used = 0;
  std::string cut;  // the line as it would be cut
  bool is_cut = false;
  bool space = false;  // one waits for the next character
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t c = NextCharacter(text, at);
    if (IsSpace(c)) {
      space = !line.empty();
      continue;
    }
    if (IsLeftOut(c)) continue;
    std::string piece = space ? " " : "";
    piece += c == kInvalid || (c >= 0x80 && !utf8) ? "?" : text.substr(begin, at - begin);
    space = false;
    const int wide = DisplayWidth(piece);
    if (used + wide > cells) {
      is_cut = true;
      break;
    }
    line += piece;
    used += wide;
    if (used + reserved <= cells) cut = line;
  }
  if (!is_cut) return line;
  return cells >= reserved ? cut + std::string(ellipsis) : line;
}

}  // namespace nla
