// GPT-2's byte-level scheme: the alphabet that spells each byte as a printable character, and its way to cut text into
// words. Leaves merging to bpe.h.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nla {

// Spelling of each byte, as UTF-8: itself where it is printable Latin-1, U+0100 and up for the rest.
const std::array<std::string, 256>& ByteSpellings();
// The bytes that a piece spells; nothing when a character is outside the alphabet. `spelling` is valid UTF-8.
std::optional<std::string> BytesOfSpelling(std::string_view spelling);

// Appends the words of valid UTF-8 `text`, which together are all of it, as the expression
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// finds them. Linear in the text.
void CutWords(std::string_view text, std::vector<std::string_view>& words);

}  // namespace nla
