// The end of a text as pieces - words, runs of punctuation, line breaks - that can be counted, quoted and put together
// again.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nla {

enum class PieceKind {
  kWord,   // letters and digits, with apostrophes and decimal signs inside; one CJK character
  kMark,   // a run of anything else that is visible
  kBreak,  // white space with at least one line feed
};

struct Piece {
  PieceKind kind = PieceKind::kWord;
  std::string text;           // kBreak: "\n" or, for a blank line, "\n\n"
  bool space_before = false;  // white space without a line feed stands before it
  bool in_address = false;    // part of a web or mail address or a path
};

struct Pieces {
  std::vector<Piece> pieces;
  bool trailing_space = false;
};

// Pieces of the last `max_bytes` of the text or fewer; a word that this cuts is left out. Invalid UTF-8 becomes U+FFFD,
// control characters disappear, overlong words and runs are shortened in the middle.
Pieces SplitEnd(std::string_view text, size_t max_bytes);

// Pieces [begin, end) as they stood; a line break reads " / ", a blank line " // ".
std::string Join(const std::vector<Piece>& pieces, size_t begin, size_t end);

}  // namespace nla
