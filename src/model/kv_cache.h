// Keys and values of sequences being generated: a fixed number of slots, each with a fixed capacity of tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/spec.h"

namespace nla {

// Keys and values of a shared prompt prefix, one [P, G, d] tensor a block, rope applied.
struct PrefixKeys {
  int64_t length = 0;
  std::vector<at::Tensor> keys_PGd, values_PGd;
};

// Owns its memory. A slot is one sequence; its length is the number of tokens stored. Not thread-safe.
class KvCache {
 public:
  // `blocks` may be fewer than spec.n_blocks.
  KvCache(const ModelSpec& spec, int64_t blocks, int64_t slots, int64_t capacity, at::ScalarType dtype);

  int64_t slots() const { return static_cast<int64_t>(lengths_.size()); }
  int64_t capacity() const { return capacity_; }
  int64_t length(int64_t slot) const { return lengths_[slot]; }
  void set_length(int64_t slot, int64_t length) { lengths_[slot] = length; }
  void Release(int64_t slot) { lengths_[slot] = 0; }

  // [slots, G, capacity, d] of one block.
  const at::Tensor& keys(int64_t block) const { return keys_[block]; }
  const at::Tensor& values(int64_t block) const { return values_[block]; }
  // Takes over the contents of a smaller cache of the same shape otherwise.
  void CopyFrom(const KvCache& other);
  // Stores rows [n, G, d] at tokens begin … begin+n-1 of a slot.
  void Store(int64_t block, int64_t slot, int64_t begin, const at::Tensor& keys_nGd, const at::Tensor& values_nGd);
  // Stores one row [B, G, d] per slot at token positions[i].
  void StoreRows(int64_t block, std::span<const int64_t> slots, std::span<const int64_t> positions,
                 const at::Tensor& keys_BGd, const at::Tensor& values_BGd);

 private:
  int64_t capacity_;
  std::vector<int64_t> lengths_;
  std::vector<at::Tensor> keys_, values_;
};

}  // namespace nla
