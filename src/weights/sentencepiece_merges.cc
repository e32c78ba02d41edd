// Looks up every split of every token. Reading the vocabulary is gguf_vocabulary.cc's.
#include "weights/sentencepiece_merges.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "base/fail.h"

namespace nla {
namespace {

struct Merge {
  float score;
  size_t left_length, right_length;  // in characters
  size_t left, right;                // ids
};

size_t Characters(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::vector<std::pair<std::string, std::string>> RebuildMerges(std::span<const std::string> tokens,
                                                               std::span<const float> scores) {
  NLA_CHECK(tokens.size() == scores.size());
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < tokens.size(); ++id) ids.emplace(tokens[id], id);
  std::vector<Merge> merges;
  for (size_t whole = 0; whole < tokens.size(); ++whole) {
    const std::string_view token = tokens[whole];
    const size_t first = merges.size();
    // A cut inside a character leaves no valid token on either side, so bytes will do.
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = ids.find(token.substr(0, cut));
      if (left == ids.end()) continue;
      const auto right = ids.find(token.substr(cut));
      if (right == ids.end()) continue;
      merges.push_back({scores[whole], Characters(left->first), Characters(right->first), left->second, right->second});
    }
    std::sort(merges.begin() + static_cast<std::ptrdiff_t>(first), merges.end(),
              [](const Merge& a, const Merge& b) { return std::tie(a.left, a.right) < std::tie(b.left, b.right); });
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(a.score, a.left_length, a.right_length) > std::tie(b.score, b.left_length, b.right_length);
  });
  std::vector<std::pair<std::string, std::string>> spelled;
  spelled.reserve(merges.size());
  for (const Merge& merge : merges) spelled.emplace_back(tokens[merge.left], tokens[merge.right]);
  return spelled;
}

}  // namespace nla
