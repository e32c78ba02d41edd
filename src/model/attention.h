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

// q_THd, k_TGd, v_TGd in the compute dtype -> [T, H·d]. With a stored prefix the rows are the segments' alone.
// Short segments are computed together as padded matrices (attention only; nothing else is padded), long ones one by
// one.
at::Tensor PackedAttention(const at::Tensor& q_THd, const at::Tensor& k_TGd, const at::Tensor& v_TGd,
                           const PackedBatch& batch, const StoredPrefix& prefix = {});

// One query row per slot against the first lengths[i] tokens of its cache slab: q_BHd, slabs [slots, G, capacity, d]
// -> [B, H·d]. No gradient.
at::Tensor DecodeAttention(const at::Tensor& q_BHd, const at::Tensor& keys, const at::Tensor& values,
                           std::span<const int64_t> slots, std::span<const int64_t> lengths);

}  // namespace nla
