// Byte-pair encoding of one word: the merges of the model, cheapest rank first, leftmost among equals.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/json_view.h"
#include "text/symbols.h"
#include "text/vocabulary.h"

namespace nla {

// Immutable; safe to share between threads. Each thread keeps a cache of short words of its own.
class Bpe {
 public:
  // Reads the "model" section's options and merges; the pieces are in `vocabulary`.
  static Bpe FromJson(const JsonView& model, const Vocabulary& vocabulary);

  // Appends the ids of `word`, which is valid UTF-8. O(n log n). What has neither a piece nor a fallback yields
  // nothing, as in the `tokenizers` library.
  void Encode(std::string_view word, std::vector<TokenId>& ids) const;
  // The same with the bytes of `word` that each id stands for, which ascend.
  void EncodeRanges(std::string_view word, std::vector<TokenId>& ids, std::vector<ByteRange>& ranges) const;

 private:
  struct Merge {
    TokenId left;
    TokenId right;
    TokenId result;
  };

  struct Word;

  Bpe();
  void ReadMerges(const JsonView& merges, const Vocabulary& vocabulary);
  void MeasurePieces(const JsonView& vocab, const Vocabulary& vocabulary);
  void IndexMerges();
  void FindUnreachable(const JsonView& vocab, const Vocabulary& vocabulary);
  // Rank of the merge of two neighbours, or -1.
  int32_t Rank(TokenId left, TokenId right) const;
  bool AppendCandidate(Word& word, int32_t left) const;
  void MergeAll(Word& word) const;
  template <typename Visit>
  void ForEachMerged(std::string_view chunk, Visit visit) const;
  void EncodeUncached(std::string_view chunk, std::vector<TokenId>& ids) const;
  void EncodeChunk(std::string_view chunk, std::vector<TokenId>& ids) const;
  bool AppendRanges(std::span<const TokenId> ids, ByteRange chunk, std::vector<ByteRange>& ranges) const;

  uint32_t instance_;  // tells the entries of this model apart in a thread's cache
  Symbols symbols_;
  std::vector<Merge> merges_;      // by rank
  std::vector<int32_t> ranks_;     // open addressing by hash of the pair; -1 is free
  uint64_t mask_ = 0;              // ranks_.size() - 1
  std::vector<uint32_t> lengths_;  // bytes of a word that a piece stands for, by id; 0 where that is not fixed
  // With ignore_merges: the pieces that are words of their own although merging does not lead to them.
  std::unordered_map<std::string, TokenId> unreachable_;
};

}  // namespace nla
