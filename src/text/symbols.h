// What merging starts from: the pieces of single bytes or characters, and where a text can be cut because no merge
// reaches across. Leaves merging to bpe.h.
#pragma once

#include <array>
#include <bitset>
#include <string_view>
#include <vector>

#include "text/json_view.h"
#include "text/vocabulary.h"

namespace nla {

// A piece and the bytes of the word that it stands for.
struct Symbol {
  TokenId id;
  uint32_t begin, end;
};

// Which characters ever stand on the two sides of a merge.
class Joints {
 public:
  Joints() { Grow(1 << 10); }
  void Add(uint32_t left, uint32_t right);
  bool Has(uint32_t left, uint32_t right) const {
    if (left < 128 && right < 128) return ascii_[left * 128 + right];
    const uint64_t key = Key(left, right);
    size_t slot = Slot(key);
    while (keys_[slot] != 0 && keys_[slot] != key) slot = (slot + 1) & (keys_.size() - 1);
    return keys_[slot] == key;
  }

 private:
  static uint64_t Key(uint32_t left, uint32_t right) { return static_cast<uint64_t>(left) << 32 | right; }
  size_t Slot(uint64_t key) const { return (key * 0x9E3779B97F4A7C15u >> 32) & (keys_.size() - 1); }
  void Grow(size_t slots);

  std::bitset<128 * 128> ascii_;
  std::vector<uint64_t> keys_;  // open addressing, a power of two of slots; 0 is free
  size_t count_ = 0;
};

// Immutable after loading; safe to share between threads.
class Symbols {
 public:
  // Reads the options of the "model" section.
  static Symbols FromJson(const JsonView& model, const Vocabulary& vocabulary);
  // Tells of one merge. To be called for all of them before the first ChunkEnd.
  void AddMerge(std::string_view left, std::string_view right);

  // The piece of characters that have none; -1 where the model has no such piece.
  TokenId unknown() const { return unknown_; }

  // Appends the symbols of `word`.
  void Split(std::string_view word, std::vector<Symbol>& symbols) const;
  // End of the chunk of `word` that begins at `begin`: no merge reaches across it, so that chunks are encoded alone.
  size_t ChunkEnd(std::string_view word, size_t begin) const;

 private:
  void SplitCharacters(std::string_view word, std::vector<Symbol>& symbols) const;
  bool AppendFallback(std::string_view word, uint32_t begin, uint32_t end, std::vector<Symbol>& symbols) const;

  bool byte_level_ = false;
  std::array<TokenId, 256> byte_ids_{};  // of the byte alphabet, or of <0xNN>; -1 where there is none
  std::vector<TokenId> char_ids_;        // by code point, where pieces are spelled as text; -1 where there is none
  bool byte_fallback_ = false;
  TokenId unknown_ = -1;
  bool fuse_unknown_ = false;
  bool cuttable_ = false;
  Joints joints_;
};

}  // namespace nla
