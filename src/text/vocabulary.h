// The pieces of a tokenizer by id and by spelling.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/json_view.h"
#include "text/tokenizer.h"

namespace nla {

// Bounds the memory that a lying file can ask for; sixteen times the largest vocabulary in use.
inline constexpr TokenId kMaxTokenId = (1 << 22) - 1;

class Vocabulary {
 public:
  // Reads the "vocab" object of a byte-level model.
  static Vocabulary FromJson(const JsonView& vocab);

  // Adds a piece, or confirms one that is there. `source` is named when spelling and id contradict what is there.
  void Add(std::string_view spelling, TokenId id, const JsonView& source);

  std::optional<TokenId> Find(std::string_view spelling) const;
  bool IsValid(TokenId id) const { return id >= 0 && id < size() && present_[static_cast<size_t>(id)]; }
  // Raw bytes of a valid id; the spelling itself where it is not written in the byte alphabet.
  const std::string& Bytes(TokenId id) const { return bytes_[static_cast<size_t>(id)]; }
  TokenId size() const { return static_cast<TokenId>(bytes_.size()); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
  std::vector<std::string> bytes_;
  std::vector<bool> present_;
};

}  // namespace nla
