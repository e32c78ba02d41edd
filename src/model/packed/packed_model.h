// A decoder's blocks and head with packed weights: the same forward pass as Decoder's, for decoding alone. Each of its
// steps is a plain loop over rows or panels, and one team of threads goes through all of them together.
// Loading, and which decoder has such a copy, is decoder.h's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/kv_pages.h"
#include "model/ops/rope.h"
#include "model/packed/packed_linear.h"
#include "model/spec.h"

namespace nla::packed {

// What a block is made of. Undefined where the model has none.
struct BlockWeights {
  at::Tensor norms[kNormsPerBlock];      // fp32
  at::Tensor weights[kLinearsPerBlock];  // [out, in], any floating type, adapters merged
  at::Tensor biases[kLinearsPerBlock];
};

struct Block {
  at::Tensor norms[kNormsPerBlock];  // fp32, the decoder's own
  PackedLinear linears[kLinearsPerBlock];
};

// New rows of several sequences, one sequence after another.
struct NewRows {
  std::span<const PagedRows> sequences;
  std::vector<ops::RopeAngles> angles;         // one for each of the spec's ropes
  std::optional<std::vector<int64_t>> wanted;  // those whose residual stream is asked for, rising; all without it
};

class PackedModel {
 public:
  PackedModel(const ModelSpec& spec, Format format) : spec_(spec), format_(format) {}

  // Blocks are added in order, while their plain weights are at hand.
  void AddBlock(const BlockWeights& block);
  void SetHead(const at::Tensor& head) { head_ = PackedLinear(format_, head, at::Tensor(), memory_); }
  bool has_head() const { return head_.defined(); }
  Format format() const { return format_; }

  // As Decoder::Extend: the residual stream after the last block, fp32 [T, D], T the wanted rows. A row's result does
  // not depend on what else is in the call.
  at::Tensor Extend(const at::Tensor& hidden_TD, const NewRows& rows, KvPages& cache) const;
  // Logits of rows that the final norm has been applied to, fp32 [R, V].
  at::Tensor Logits(const at::Tensor& normed_RD) const;

 private:
  ModelSpec spec_;
  Format format_;
  PanelMemory memory_;
  std::vector<Block> blocks_;
  PackedLinear head_;
};

}  // namespace nla::packed
