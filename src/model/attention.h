// Causal grouped-query attention over packed rows with an optional shared prefix, differentiable; and the decode kernel
// over a KV cache. The projections and rope are decoder.cc's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/packed_batch.h"

namespace nla {

// A shared prefix whose keys and values were computed before; undefined tensors: the prefix, if any, is in the batch.
struct StoredPrefix {
  at::Tensor keys_PGd, values_PGd;
};

// What a block's rows see and how scores are scaled.
struct AttentionRule {
  double scale = 1;    // of query · key
  int64_t window = 0;  // tokens a row sees, itself among them; 0: all before it
};

// How the rows of a call lie. Borrows the batch.
struct AttentionLayout {
  const PackedBatch& batch;
  StoredPrefix prefix = {};  // where given, the rows are the segments' alone
};

// q_THd, k_TGd, v_TGd in the compute dtype -> [T, H·d]. Short segments are computed together as padded matrices
// (attention only; nothing else is padded), long ones one by one.
at::Tensor PackedAttention(const at::Tensor& q_THd, const at::Tensor& k_TGd, const at::Tensor& v_TGd,
                           const AttentionLayout& layout, const AttentionRule& rule);

// Rows of a KV cache: query row i belongs to slots[i], of which lengths[i] tokens are stored, its own the last.
struct CacheRows {
  std::span<const int64_t> slots, lengths;
};

// One query row per slot against its cache slab: q_BHd, slabs [slots, G, capacity, d] -> [B, H·d]. No gradient.
at::Tensor DecodeAttention(const at::Tensor& q_BHd, const at::Tensor& keys, const at::Tensor& values,
                           const CacheRows& rows, const AttentionRule& rule);

}  // namespace nla
