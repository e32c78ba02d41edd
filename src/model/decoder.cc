// The decoder's forward pass. Loading, adapters and merging are decoder_weights.cc's; attention is attention.cc's.
#include "model/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "base/fail.h"
#include "model/ops/gated_unit.h"
#include "model/ops/rope.h"
#include "model/packed/packed_model.h"

namespace nla {
namespace {

// A segment's rows continue the prefix: position = prefix + offset in the segment.
std::vector<int64_t> PositionsOf(const PackedBatch& batch) {
  std::vector<int64_t> positions;
  positions.reserve(batch.rows());
  for (int64_t i = 0; i < batch.prefix; ++i) positions.push_back(i);
  for (const int64_t length : batch.lengths) {
    for (int64_t i = 0; i < length; ++i) positions.push_back(batch.prefix + i);
  }
  return positions;
}

}  // namespace

at::Tensor Decoder::Embed(std::span<const TokenId> ids) const {
  std::vector<int64_t> wide(ids.begin(), ids.end());
  for (const int64_t id : wide) NLA_CHECK(id >= 0 && id < spec_.vocab_size);
  return Embed(at::tensor(wide, at::kLong));
}

at::Tensor Decoder::Embed(const at::Tensor& ids_T) const {
  const at::Tensor rows_TD = at::embedding(embedding_, ids_T).to(at::kFloat);
  return spec_.embedding_scale == 1 ? rows_TD : rows_TD * embedding_scale_;
}

at::Tensor Decoder::Apply(const Block& block, int linear, const at::Tensor& input_TX) const {
  const at::Tensor& bias = block.biases[linear];
  at::Tensor out =
      bias.defined() ? at::linear(input_TX, block.weights[linear], bias) : at::linear(input_TX, block.weights[linear]);
  const Adapter& adapter = block.adapters[linear];
  if (!adapter.defined()) return out;
  return out.addmm_(at::linear(input_TX, adapter.a), adapter.b.t(), 1, lora_.scale());
}

at::Tensor Decoder::RunBlocks(at::Tensor residual_TD, const std::vector<int64_t>& positions_T,
                              const AttendFunction& attend, const BlockHook& hook) const {
  const int64_t rows = residual_TD.size(0);
  NLA_CHECK(plain());
  NLA_CHECK(residual_TD.scalar_type() == at::kFloat && residual_TD.size(1) == spec_.d_model);
  NLA_CHECK(static_cast<int64_t>(positions_T.size()) == rows);
  const std::vector<ops::RopeAngles> angles = Angles(positions_T);
  at::Tensor normed_TD = ops::RmsNorm(residual_TD, blocks_[0].norms[kInputNorm], Norm(), compute_);
  for (int64_t i = 0; i < blocks(); ++i) {
    const Block& block = blocks_[i];
    const auto heads = [&](int linear, int64_t count) {
      return Apply(block, linear, normed_TD).view({rows, count, spec_.d_head});
    };
    const auto rotated = [&](int linear, int64_t count, BlockNorm norm) {
      const ops::RopeAngles& own = angles[spec_.blocks[i].rope];
      return spec_.query_key_norms ? ops::NormRope(heads(linear, count), block.norms[norm], Norm(), own)
                                   : ops::Rope(heads(linear, count), own);
    };
    const at::Tensor q_THd = rotated(kQ, spec_.n_heads, kQueryNorm);
    const at::Tensor k_TGd = rotated(kK, spec_.n_kv_heads, kKeyNorm);
    const at::Tensor mixed_TX = attend(i, q_THd, k_TGd, heads(kV, spec_.n_kv_heads));
    std::tie(residual_TD, normed_TD) =
        ops::AddRmsNorm(residual_TD, Apply(block, kO, mixed_TX), block.norms[kPostAttentionNorm],
                        block.norms[kFeedForwardNorm], Norm());
    const at::Tensor gated_TF =
        ops::GatedUnit(Apply(block, kGate, normed_TD), Apply(block, kUp, normed_TD), spec_.activation);
    const at::Tensor delta_TD = Apply(block, kDown, gated_TF);
    const at::Tensor& post_D = block.norms[kPostFeedForwardNorm];
    if (i + 1 < blocks()) {
      std::tie(residual_TD, normed_TD) =
          ops::AddRmsNorm(residual_TD, delta_TD, post_D, blocks_[i + 1].norms[kInputNorm], Norm());
    } else {
      residual_TD = ops::Add(residual_TD, delta_TD, post_D, Norm());
    }
    if (hook) hook(i, residual_TD);
  }
  return residual_TD;
}

std::vector<ops::RopeAngles> Decoder::Angles(const std::vector<int64_t>& positions_T) const {
  const int64_t needed = *std::max_element(positions_T.begin(), positions_T.end()) + 1;
  const at::Tensor positions = at::tensor(positions_T, at::kLong);
  std::vector<ops::RopeAngles> angles;
  for (const RopeTable& table : ropes_) {
    auto [cos, sin] = table.Get(needed);
    angles.push_back({positions, std::move(cos), std::move(sin)});
  }
  return angles;
}

at::Tensor Decoder::Forward(at::Tensor hidden_TD, const PackedBatch& batch, const BlockHook& hook) const {
  for (const int64_t length : batch.lengths) CheckLength(batch.prefix + length);
  const auto attend = [&](int64_t block, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    return PackedAttention(q, k, v, batch, Rule(block));
  };
  return RunBlocks(std::move(hidden_TD), PositionsOf(batch), attend, hook);
}

at::Tensor Decoder::Extend(at::Tensor hidden_TD, std::span<const PagedRows> sequences, KvPages& cache,
                           const std::optional<std::vector<int64_t>>& wanted) const {
  std::vector<int64_t> positions;
  positions.reserve(hidden_TD.size(0));
  for (const PagedRows& sequence : sequences) {
    const int64_t end = sequence.stored + sequence.rows;
    CheckLength(end);
    NLA_CHECK(sequence.rows > 0 && end <= static_cast<int64_t>(sequence.pages.size()) * kPageTokens);
    for (int64_t i = sequence.stored; i < end; ++i) positions.push_back(i);
  }
  if (packed_) return packed_->Extend(hidden_TD, {sequences, Angles(positions), wanted}, cache);
  const auto attend = [&](int64_t block, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    cache.Store(block, sequences, k, v);
    return PagedAttention(q, cache, block, sequences, Rule(block));
  };
  const at::Tensor residual_TD = RunBlocks(std::move(hidden_TD), positions, attend, nullptr);
  return wanted ? at::index_select(residual_TD, 0, at::tensor(*wanted, at::kLong)) : residual_TD;
}

void Decoder::CheckLength(int64_t tokens) const {
  if (tokens <= spec_.max_positions) return;
  Fail({.where = "sequence",
        .what = "too long for the model",
        .found = std::to_string(tokens) + " tokens",
        .wanted = "at most " + std::to_string(spec_.max_positions),
        .mend = "Shorten the text"});
}

at::Tensor Decoder::FinalNorm(const at::Tensor& hidden_RD) const {
  return ops::RmsNorm(hidden_RD, final_norm_, Norm(), compute_);
}

at::Tensor Decoder::Logits(const at::Tensor& normed_RD) const {
  return packed_ && packed_->has_head() ? packed_->Logits(normed_RD) : at::linear(normed_RD, head());
}

}  // namespace nla
