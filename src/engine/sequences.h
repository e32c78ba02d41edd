// The sequences whose keys and values are kept: those being written, and ended ones that are remembered as long as
// there is room. A new sequence that begins like one of them shares its pages instead of computing them again.
#pragma once

#include <cstdint>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "engine/page_pool.h"
#include "engine/row_keys.h"
#include "model/decoder.h"

namespace nla {

struct Sequence {
  std::vector<RowKey> keys;    // of its rows: the prompt's, then those of the reply's tokens
  std::vector<int32_t> pages;  // room for all tokens that it may come to have
  int64_t stored = 0;          // rows whose keys and values are in the pages
};

// Borrows the decoder. Not thread-safe.
class Sequences {
 public:
  // Room for `tokens` tokens, rounded up to pages.
  Sequences(const Decoder& decoder, int64_t tokens);

  KvPages& cache() { return cache_; }
  int64_t total_tokens() const { return pool_.pages() * kPageTokens; }
  int64_t used_tokens() const;  // of sequences being written

  static constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  // Rows at the beginning of a prompt that an open sequence has in its prompt too. Never all, nor more than `most`,
  // which is for those whose results are wanted beside their keys and values.
  struct Beginning {
    int64_t stored = 0;    // are there
    int64_t promised = 0;  // will be there when the sequences that are open have been computed; at least `stored`
  };
  Beginning Find(const std::vector<RowKey>& keys, int64_t most = kAll) const;

  // A sequence with room for `tokens` tokens; `stored` says how many of its rows are there already, as Find counts
  // them. nullptr: no room now, though remembered sequences were given up for it.
  std::unique_ptr<Sequence> Open(std::vector<RowKey> keys, int64_t tokens, int64_t most = kAll);
  // Ends it; its stored rows are remembered.
  void Close(std::unique_ptr<Sequence> sequence);
  // Ends it without memory of it.
  void Discard(std::unique_ptr<Sequence> sequence);
  // Gives up what is remembered.
  void Forget();

 private:
  // The kept sequence that shares the most stored rows with `keys`.
  Sequence* Donor(const std::vector<RowKey>& keys, int64_t most, int64_t& shared);
  bool MakeRoom(int64_t pages);
  void ForgetOldest();

  KvPages cache_;
  PagePool pool_;
  std::vector<Sequence*> open_;
  std::list<Sequence> remembered_;  // the longest unused first
};

}  // namespace nla
