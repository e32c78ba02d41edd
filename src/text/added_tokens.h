// Added tokens of tokenizer.json: found by their spelling in raw text before anything else happens to it.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/json_view.h"
#include "text/tokenizer.h"

namespace nla {

struct AddedToken {
  std::string content;
  TokenId id = -1;
  bool special = false;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space behind it along
  bool normalized = true;    // looked for after the tokens that are not
};

// A stretch of text: an added token (id >= 0) or text that the model encodes.
struct TextPiece {
  std::string_view text;
  TokenId id = -1;
};

// Immutable; safe to share between threads.
class AddedTokens {
 public:
  // Reads the "added_tokens" section.
  static AddedTokens FromJson(const JsonView& section);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  // Special tokens stay text unless `parse_special`. Borrows `text`, which is valid UTF-8.
  std::vector<TextPiece> Split(std::string_view text, bool parse_special) const;

 private:
  // Byte trie; leaves name tokens by their index.
  class Trie {
   public:
    void Insert(std::string_view content, int token);
    // The longest token at the start of `text`, or -1.
    int Longest(std::string_view text) const;
    bool MayStart(char c) const { return starts_[static_cast<uint8_t>(c)]; }

   private:
    struct Node {
      std::vector<std::pair<char, int>> next;
      int token = -1;
    };
    int Follow(int node, char c) const;
    std::array<bool, 256> starts_{};
    std::vector<Node> nodes_{Node{}};
  };

  void SplitBy(const Trie& trie, std::string_view text, bool parse_special, std::vector<TextPiece>& pieces) const;

  std::vector<AddedToken> tokens_;
  Trie raw_;         // normalized: false
  Trie normalized_;  // normalized: true; no normaliser is supported yet, so their spelling is as it stands
};

}  // namespace nla
