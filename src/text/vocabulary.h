// The pieces of a tokenizer by id and by spelling.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/json_view.h"
#include "text/piece_decoder.h"
#include "text/tokenizer.h"

namespace nla {

// Bounds the memory that a lying file can ask for; sixteen times the largest vocabulary in use.
inline constexpr TokenId kMaxTokenId = (1 << 22) - 1;

class Vocabulary {
 public:
  // Reads the "vocab" object; `decoder` tells what bytes a piece stands for.
  static Vocabulary FromJson(const JsonView& vocab, PieceDecoder decoder);

  // Adds a piece, or confirms one that is there. `source` is named when spelling and id contradict what is there.
  void Add(std::string_view spelling, TokenId id, const JsonView& source);
  // Decodes a token that is there from another spelling than the one it is found by.
  void Respell(TokenId id, std::string_view spelling);

  std::optional<TokenId> Find(std::string_view spelling) const;
  bool IsValid(TokenId id) const { return id >= 0 && id < size() && present_[static_cast<size_t>(id)]; }
  // Raw bytes of a valid id.
  const std::string& Bytes(TokenId id) const { return bytes_[static_cast<size_t>(id)]; }
  // Whether a valid id is spelled <0xNN>, one byte of a character that has no piece.
  bool IsFallbackByte(TokenId id) const { return fallback_[static_cast<size_t>(id)]; }
  const PieceDecoder& decoder() const { return decoder_; }
  TokenId size() const { return static_cast<TokenId>(bytes_.size()); }

 private:
  void Insert(std::string_view spelling, TokenId id);

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
  std::vector<std::string> bytes_;
  std::vector<bool> present_, fallback_;
  PieceDecoder decoder_;
};

}  // namespace nla
