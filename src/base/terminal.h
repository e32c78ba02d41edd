// What is known of the terminal that stderr leads to, and how wide text is on it. Who draws there is not decided here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nla {

struct TerminalSize {
  int columns = 80;
  int rows = 24;
};

// Of the terminal as it is now; nullopt where stderr is none, or one that cannot move its cursor.
std::optional<TerminalSize> ErrorTerminal();
// Whether the environment's locale writes UTF-8.
bool LocaleIsUtf8();

// Cells that a line takes. Where terminals differ, the larger number.
int DisplayWidth(std::string_view text);
// The text as one line of at most so many cells, cut with an ellipsis where it is longer. White space of any kind
// becomes one space; what would move the cursor or turn the writing around is left out, and bytes that are no UTF-8
// become question marks, as everything beyond ASCII does without `utf8`.
std::string FitLine(std::string_view text, int cells, bool utf8);

}  // namespace nla
