// Scores the words of a text's end. The rule has no table of frequencies: what the stop words leave is rare enough.
#include "datagen/providers/topic.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/ascii.h"

namespace nla {
namespace {

constexpr double kHalfLife = 40;  // words: how fast a word's weight fades with its distance from the end
constexpr size_t kShortest = 3;   // letters

std::string Lower(std::string_view word) {
  std::string lower(word);
  for (char& c : lower) c = AsciiLower(c);
  return lower;
}

// The word without a possessive ending.
std::string_view Bare(std::string_view word) {
  for (std::string_view ending : {"'s", "’s", "'", "’"}) {
    if (word.ends_with(ending)) return word.substr(0, word.size() - ending.size());
  }
  return word;
}

// Folds plurals and the commonest verb endings, so that one topic is named once. Never shown.
std::string Stem(std::string_view word) {
  std::string stem = Lower(Bare(word));
  const auto cut = [&](std::string_view ending, size_t least, std::string_view instead) {
    if (!stem.ends_with(ending) || stem.size() < ending.size() + least) return false;
    stem.replace(stem.size() - ending.size(), ending.size(), instead);
    return true;
  };
  if (!cut("ies", 2, "y") && !cut("sses", 2, "ss") && !stem.ends_with("ss")) cut("s", 3, "");
  if (!cut("ing", 4, "")) cut("ed", 4, "");
  cut("e", 4, "");
  return stem;
}

// Letters (and other scripts' characters) only: no digits, no inner marks.
bool CanBeTopic(const Piece& piece) {
  if (piece.kind != PieceKind::kWord || piece.in_address) return false;
  const std::string_view word = Bare(piece.text);
  if (word.size() < kShortest) return false;
  const bool letters = std::all_of(word.begin(), word.end(), [](char c) { return IsAsciiLetter(c) || (c & 0x80); });
  return letters && !IsStopWord(Lower(word));
}

struct Candidate {
  std::string shown;
  double recency = 0;
  int count = 0;
  bool lower_case_seen = false;
};

double Score(const Candidate& candidate) {
  const double name = candidate.lower_case_seen ? 1.0 : 1.25;
  return candidate.recency * std::log2(1.0 + candidate.count) * name;
}

bool StartsSentence(const std::vector<Piece>& pieces, size_t i) {
  if (i == 0 || pieces[i - 1].kind == PieceKind::kBreak) return true;
  return pieces[i - 1].kind == PieceKind::kMark && pieces[i - 1].text.find_first_of(".!?") != std::string::npos;
}

}  // namespace

std::vector<std::string> TopicWords(const std::vector<Piece>& pieces, size_t said_begin, int64_t count) {
  std::set<std::string> said;
  for (size_t i = said_begin; i < pieces.size(); ++i) said.insert(Stem(pieces[i].text));

  std::map<std::string, Candidate> candidates;
  double distance = 0;  // words from the end
  for (size_t i = pieces.size(); i-- > 0;) {
    const Piece& piece = pieces[i];
    if (piece.kind != PieceKind::kWord) continue;
    distance += 1;
    if (!CanBeTopic(piece)) continue;
    const std::string stem = Stem(piece.text);
    if (said.contains(stem)) continue;
    Candidate& candidate = candidates[stem];
    const std::string word(Bare(piece.text));
    const bool lower_case = !IsAsciiUpper(word[0]);
    if (candidate.count == 0) candidate.shown = word;
    // A capital that the start of a sentence may have given yields to a later sight of the word.
    if (lower_case && !candidate.lower_case_seen) candidate.shown = word;
    candidate.lower_case_seen |= lower_case || (StartsSentence(pieces, i) && word.size() > 1 && !IsAsciiUpper(word[1]));
    candidate.recency += std::exp2(-distance / kHalfLife);
    ++candidate.count;
  }
  std::vector<const Candidate*> order;
  order.reserve(candidates.size());
  for (const auto& [stem, candidate] : candidates) order.push_back(&candidate);
  // Equal scores keep the alphabetical order of the map.
  std::stable_sort(order.begin(), order.end(),
                   [](const Candidate* a, const Candidate* b) { return Score(*a) > Score(*b); });
  std::vector<std::string> words;
  for (size_t i = 0; i < order.size() && static_cast<int64_t>(i) < count; ++i) words.push_back(order[i]->shown);
  return words;
}

}  // namespace nla
