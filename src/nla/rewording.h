// Explanations said shorter or in other words: what the vector keeps of them tells language from a code.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nla {

// Share of an explanation's words that a truncated one keeps.
inline constexpr double kKeptWords = 0.75;

// The text up to the end of the word that `share` of its words end with.
std::string FirstWords(const std::string& text, double share);

// A text in other words of the same meaning and order.
struct Paraphrase {
  std::string text;
  int64_t words = 0;     // runs of ASCII letters
  int64_t reworded = 0;  // of them
};

// Swaps every English word that has a near synonym in a fixed list for it, and back: paraphrasing twice gives the text
// again. Word for word, in the order and with the capitals and punctuation of the text; quoted words too.
Paraphrase Reword(const std::string& text);

// Many explanations, each by its first kKeptWords and each reworded.
struct Retellings {
  std::vector<std::string> beginnings, paraphrases;
  int64_t words = 0, reworded = 0;  // of the paraphrases, together
};
Retellings Retell(std::span<const std::string> explanations);

}  // namespace nla
