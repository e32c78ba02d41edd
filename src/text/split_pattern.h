// The regular expressions of the Split pre-tokeniser, each compiled by hand into a linear scanner. An expression that
// is not in the table is refused at load: a general engine would have to agree with the `tokenizers` library's on every
// character class and every worst case.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nla {

// Appends the words of valid UTF-8 `text`, which together are all of it.
using WordCutter = void (*)(std::string_view text, std::vector<std::string_view>& words);

// The scanner equal to `expression`, or null.
WordCutter FindWordCutter(std::string_view expression);
// The models whose expressions are known, for an error.
std::string KnownWordCutters();

}  // namespace nla
