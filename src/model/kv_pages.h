// Keys and values of sequences being read and written, in pages of a fixed number of tokens. Who owns which page, and
// which sequences share one, is the engine's to say.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/spec.h"

namespace nla {

inline constexpr int64_t kPageTokens = 16;

// New rows of one sequence in a call that extends it. Token i of the sequence lies in pages[i / kPageTokens].
struct PagedRows {
  std::span<const int32_t> pages;  // enough for stored + rows tokens
  int64_t stored = 0;              // tokens whose keys and values are there already
  int64_t rows = 1;                // new ones; the first has position `stored`
};

// Owns its memory, which the system hands out as pages are first written. Not thread-safe.
class KvPages {
 public:
  // `blocks` may be fewer than spec.n_blocks.
  KvPages(const ModelSpec& spec, int64_t blocks, int64_t pages, at::ScalarType dtype);

  int64_t pages() const { return pages_; }
  // Of one block: keys [pages, G, d, kPageTokens], so that attention reads a page's tokens side by side, and values
  // [pages, G, kPageTokens, d].
  const at::Tensor& keys(int64_t block) const { return keys_[block]; }
  const at::Tensor& values(int64_t block) const { return values_[block]; }
  // Stores the new rows of all sequences, one after another in k_TGd and v_TGd.
  void Store(int64_t block, std::span<const PagedRows> sequences, const at::Tensor& k_TGd, const at::Tensor& v_TGd);
  // The first `tokens` tokens of a page, in every block.
  void CopyPage(int32_t from, int32_t to, int64_t tokens);

 private:
  int64_t pages_;
  std::vector<at::Tensor> keys_, values_;
};

}  // namespace nla
