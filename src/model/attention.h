// Causal grouped-query attention over packed rows with an optional shared prefix, differentiable; and the same over
// pages of keys and values. The projections and rope are decoder.cc's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/attend_row.h"
#include "model/kv_pages.h"
#include "model/packed_batch.h"

namespace nla {

// What a block's rows see and how scores are scaled.
struct AttentionRule {
  double scale = 1;    // of query · key
  int64_t window = 0;  // tokens a row sees, itself among them; 0: all before it
};

// The new rows of `sequences`, one sequence after another, with the tokens that they see. Borrows the pages' numbers.
std::vector<AttendedRow> RowsOf(std::span<const PagedRows> sequences, const AttentionRule& rule);

// q_THd, k_TGd, v_TGd in the compute dtype -> [T, H·d]. Short segments are computed together as padded matrices
// (attention only; nothing else is padded), long ones one by one.
at::Tensor PackedAttention(const at::Tensor& q_THd, const at::Tensor& k_TGd, const at::Tensor& v_TGd,
                           const PackedBatch& batch, const AttentionRule& rule);

// Every new row of `sequences` against all tokens of its sequence up to itself, whose keys and values are stored in
// `block`: q_THd -> [T, H·d]. No gradient. A row's result does not depend on what else is in the call.
at::Tensor PagedAttention(const at::Tensor& q_THd, const KvPages& cache, int64_t block,
                          std::span<const PagedRows> sequences, const AttentionRule& rule);

}  // namespace nla
