// Byte-pair encoding of one word: the merges of the model, cheapest rank first, leftmost among equals.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/json_view.h"
#include "text/vocabulary.h"

namespace nla {

// Immutable; safe to share between threads. Each thread keeps a cache of short words of its own.
class Bpe {
 public:
  // Reads the "model" section's options and merges; the pieces are in `vocabulary`.
  static Bpe FromJson(const JsonView& model, const Vocabulary& vocabulary);

  // Appends the ids of `word`. O(n log n). A byte that has no piece yields nothing, as in the `tokenizers` library.
  void Encode(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  struct Merge {
    TokenId left;
    TokenId right;
    TokenId result;
  };

  struct Word;

  Bpe();
  void ReadMerges(const JsonView& merges, const Vocabulary& vocabulary);
  void IndexMerges();
  // Rank of the merge of two neighbours, or -1.
  int32_t Rank(TokenId left, TokenId right) const;
  bool AppendCandidate(Word& word, int32_t left) const;
  void MergeAll(Word& word) const;
  void EncodeUncached(std::string_view bytes, std::vector<TokenId>& ids) const;

  uint32_t instance_;  // tells the entries of this model apart in a thread's cache
  std::array<TokenId, 256> byte_ids_{};
  std::vector<Merge> merges_;   // by rank
  std::vector<int32_t> ranks_;  // open addressing by hash of the pair; -1 is free
  uint64_t mask_ = 0;           // ranks_.size() - 1
};

}  // namespace nla
