// Leftmost, longest, non-overlapping matching of added tokens, with the rules of the `tokenizers` library.
#include "text/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "text/unicode.h"
#include "text/vocabulary.h"

namespace nla {
namespace {

bool ClassedAs(std::string_view text, size_t offset, CharFlag flag) {
  return (CharClass(DecodeChar(text.substr(offset)).code_point) & flag) != 0;
}

// Offset at which the white space that ends `text` begins.
size_t SpaceBefore(std::string_view text) {
  while (!text.empty() && ClassedAs(text, LastCharOffset(text), kStripped)) text = text.substr(0, LastCharOffset(text));
  return text.size();
}

// Length of the white space that begins `text`.
size_t SpaceBehind(std::string_view text) {
  size_t length = 0;
  while (length < text.size() && ClassedAs(text, length, kStripped)) {
    length += static_cast<size_t>(DecodeChar(text.substr(length)).length);
  }
  return length;
}

bool TouchesWord(std::string_view text, size_t begin, size_t end) {
  return (begin > 0 && ClassedAs(text, LastCharOffset(text.substr(0, begin)), kWord)) ||
         (end < text.size() && ClassedAs(text, end, kWord));
}

// Looking for a token takes time proportional to its length at every place where it might begin.
constexpr size_t kMaxSpelling = 512;

AddedToken ReadToken(const JsonView& entry) {
  AddedToken token{.content = entry.At("content").String(),
                   .id = static_cast<TokenId>(entry.At("id").Int(0, kMaxTokenId)),
                   .special = entry.At("special").Bool(),
                   .single_word = entry.At("single_word").Bool(),
                   .lstrip = entry.At("lstrip").Bool(),
                   .rstrip = entry.At("rstrip").Bool(),
                   .normalized = entry.At("normalized").Bool()};
  if (token.content.empty()) entry.At("content").Fail("empty added token", "\"\"", "a spelling");
  if (token.content.size() > kMaxSpelling) {
    entry.At("content").Fail("added token too long", fmt::format("{} bytes", token.content.size()),
                             fmt::format("at most {}", kMaxSpelling));
  }
  return token;
}

}  // namespace

int AddedTokens::Trie::Follow(int node, char c) const {
  for (const auto& [byte, child] : nodes_[static_cast<size_t>(node)].next) {
    if (byte == c) return child;
  }
  return -1;
}

void AddedTokens::Trie::Insert(std::string_view content, int token) {
  starts_[static_cast<uint8_t>(content[0])] = true;
  int node = 0;
  for (const char c : content) {
    int child = Follow(node, c);
    if (child < 0) {
      child = static_cast<int>(nodes_.size());
      nodes_[static_cast<size_t>(node)].next.emplace_back(c, child);
      nodes_.emplace_back();
    }
    node = child;
  }
  nodes_[static_cast<size_t>(node)].token = token;
}

int AddedTokens::Trie::Longest(std::string_view text) const {
  int found = -1;
  int node = 0;
  for (const char c : text) {
    node = Follow(node, c);
    if (node < 0) break;
    if (nodes_[static_cast<size_t>(node)].token >= 0) found = nodes_[static_cast<size_t>(node)].token;
  }
  return found;
}

AddedTokens AddedTokens::FromJson(const JsonView& section, const Normalizer& normalizer) {
  AddedTokens made;
  std::unordered_set<std::string> seen;
  for (size_t i = 0; i < section.Array().size(); ++i) {
    const JsonView entry = section.At(i);
    AddedToken token = ReadToken(entry);
    if (!seen.insert(token.content).second) entry.At("content").Fail("added token listed twice", token.content, "");
    std::string storage;
    token.wanted = token.normalized ? normalizer.Apply(token.content, storage) : token.content;
    if (token.wanted.empty()) entry.At("content").Fail("nothing is left of it when normalised", token.content, "");
    (token.normalized ? made.normalized_ : made.raw_).Insert(token.wanted, static_cast<int>(made.tokens_.size()));
    made.tokens_.push_back(std::move(token));
  }
  return made;
}

std::vector<TextPiece> AddedTokens::SplitBy(const Trie& trie, std::string_view text, bool parse_special) const {
  if (text.empty()) return {};
  if (trie.empty()) return {{text}};
  std::vector<TextPiece> pieces;
  size_t done = 0;  // text before it is in `pieces`
  for (size_t offset = 0; offset < text.size();) {
    const int index = trie.MayStart(text[offset]) ? trie.Longest(text.substr(offset)) : -1;
    if (index < 0) {
      ++offset;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    size_t begin = offset;
    size_t end = offset + token.wanted.size();
    offset = end;
    if (token.special && !parse_special) continue;
    if (token.single_word && TouchesWord(text, begin, end)) continue;
    if (token.lstrip) begin = std::max(done, SpaceBefore(text.substr(0, begin)));
    if (token.rstrip) end += SpaceBehind(text.substr(end));
    if (done < begin) pieces.push_back({text.substr(done, begin - done)});
    pieces.push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done)});
  return pieces;
}

std::vector<TextPiece> AddedTokens::SplitRaw(std::string_view text, bool parse_special) const {
  return SplitBy(raw_, text, parse_special);
}

std::vector<TextPiece> AddedTokens::SplitNormalized(std::string_view text, bool parse_special) const {
  return SplitBy(normalized_, text, parse_special);
}

}  // namespace nla
