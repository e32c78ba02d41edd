// Added tokens of tokenizer.json: found by their spelling in raw text before anything else happens to it.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/json_view.h"
#include "text/normalizer.h"
#include "text/tokenizer.h"

namespace nla {

struct AddedToken {
  std::string content;
  std::string wanted = {};  // what is looked for: the content, normalised where the token is
  TokenId id = -1;
  bool special = false;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space behind it along
  bool normalized = true;    // looked for in normalised text, after the tokens that are not
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
  static AddedTokens FromJson(const JsonView& section, const Normalizer& normalizer);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  // Special tokens stay text unless `parse_special`. Both borrow `text`, which is valid UTF-8: the first is for text as
  // it came, the second for what is left of it, normalised.
  std::vector<TextPiece> SplitRaw(std::string_view text, bool parse_special) const;
  std::vector<TextPiece> SplitNormalized(std::string_view text, bool parse_special) const;

 private:
  // Byte trie; leaves name tokens by their index.
  class Trie {
   public:
    void Insert(std::string_view content, int token);
    // The longest token at the start of `text`, or -1.
    int Longest(std::string_view text) const;
    bool empty() const { return nodes_.size() == 1; }
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

  std::vector<TextPiece> SplitBy(const Trie& trie, std::string_view text, bool parse_special) const;

  std::vector<AddedToken> tokens_;
  Trie raw_;         // normalized: false
  Trie normalized_;  // normalized: true
};

}  // namespace nla
