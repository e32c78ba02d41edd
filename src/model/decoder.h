// The decoder: the one forward path that extraction, generation, scoring and training share.
// Weights come from a checkpoint directory; adapters can be laid over them. Sampling is sampler.h's, batching
// engine/'s.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/attention.h"
#include "model/kv_pages.h"
#include "model/lora.h"
#include "model/ops/rms_norm.h"
#include "model/ops/rope.h"
#include "model/packed/format.h"
#include "model/packed_batch.h"
#include "model/rope_table.h"
#include "model/spec.h"
#include "text/tokenizer.h"
#include "weights/checkpoint.h"

namespace nla {

namespace packed {
class PackedModel;
struct BlockWeights;
}  // namespace packed

struct DecoderOptions {
  at::ScalarType compute = at::kFloat;  // fp32 or bf16: linears, attention, cache
  std::optional<int64_t> blocks = {};   // load only the first n blocks; all when empty
  bool with_head = true;                // load the final norm and the vocabulary projection
  // Linears and head are packed block by block as they load and kept in no other form: for Embed, Extend and Logits
  // alone. Adapters from a directory in PEFT layout are merged before.
  std::optional<packed::Format> packing = {};
  std::filesystem::path adapters = {};
};

// Called after every block with (block index, residual stream fp32 [T, D]).
using BlockHook = std::function<void(int64_t block, const at::Tensor& residual_TD)>;

// Not copyable. Forward passes are const and may run from several threads as long as nobody writes the weights.
class Decoder {
 public:
  // Errors name the file and the tensor (missing, wrong shape, wrong dtype).
  static Decoder Load(const Checkpoint& checkpoint, const DecoderOptions& options);
  Decoder(Decoder&&) noexcept = default;
  Decoder& operator=(Decoder&&) noexcept = default;
  // Another decoder over the same memory: its blocks and head as far as `options` asks for them (and this one has
  // them), in the same compute dtype, without adapters. Weights written through one change the other.
  Decoder Share(const DecoderOptions& options) const;

  const ModelSpec& spec() const { return spec_; }
  int64_t blocks() const { return static_cast<int64_t>(blocks_.size()); }
  at::ScalarType compute() const { return compute_; }

  // Input embeddings of ids, scaled as the family scales them, fp32 [T, D]; differentiable by the table.
  at::Tensor Embed(std::span<const TokenId> ids) const;
  at::Tensor Embed(const at::Tensor& ids_T) const;

  // The residual stream after the last loaded block, fp32 [T, D], before the final norm. `hidden_TD` are input
  // embeddings.
  at::Tensor Forward(at::Tensor hidden_TD, const PackedBatch& batch, const BlockHook& hook = nullptr) const;
  // The same for new rows of several sequences, one sequence after another in hidden_TD, whose earlier keys and values
  // are in `cache`; theirs are added to it. No gradient. Prompts, parts of prompts and single tokens may stand in one
  // call. With `wanted`, rising indices of rows: the residual stream of these alone, since all else that most rows of a
  // prompt leave behind is their keys and values.
  at::Tensor Extend(at::Tensor hidden_TD, std::span<const PagedRows> sequences, KvPages& cache,
                    const std::optional<std::vector<int64_t>>& wanted = {}) const;

  // Final norm of residual rows, [R, D] in the compute dtype; and logits of such rows, [R, V] in the compute dtype, or
  // fp32 from packed weights.
  at::Tensor FinalNorm(const at::Tensor& hidden_RD) const;
  at::Tensor Logits(const at::Tensor& normed_RD) const;
  // The vocabulary projection [V, D].
  const at::Tensor& head() const { return spec_.tied_head ? embedding_ : head_; }

  // The live weights by their checkpoint names, in forward order; changing them changes the model.
  std::vector<NamedTensor> Weights();

  // Fresh adapters on all linears: A uniform in ±1/sqrt(in) (PEFT's default), B zero.
  void AddAdapters(const LoraSpec& lora, uint64_t seed);
  // Adapters from a directory in PEFT layout; blocks beyond those loaded are ignored, missing ones are errors.
  void LoadAdapters(const std::filesystem::path& directory);
  const LoraSpec& lora() const { return lora_; }
  std::vector<NamedTensor> AdapterWeights();
  // W += scale · B A in fp32, then the adapters are gone.
  void MergeAdapters();

  // Makes packed copies of linears and head as they are now, with adapters merged, for Extend and Logits to use; the
  // plain ones stay for all else. Weights that change afterwards want another call.
  void Pack(packed::Format format);
  std::optional<packed::Format> packing() const;
  // The weights of another decoder of the same spec and dtype take the place of these.
  void TakeWeights(Decoder&& other);
  // False where linears were packed as they loaded: then there are no Weights, and no Forward.
  bool plain() const { return blocks_[0].weights[kQ].defined(); }

 private:
  struct Block {
    at::Tensor norms[kNormsPerBlock];      // [D] or [d], fp32; undefined where the model has none
    at::Tensor weights[kLinearsPerBlock];  // [out, in], compute dtype
    at::Tensor biases[kLinearsPerBlock];   // [out], compute dtype; undefined where the model has none
    Adapter adapters[kLinearsPerBlock];    // compute dtype
  };
  // Attention of one block over its rotated rows: what a training pass, a prefill and a decode step do differently.
  using AttendFunction = std::function<at::Tensor(int64_t block, const at::Tensor& q_THd, const at::Tensor& k_TGd,
                                                  const at::Tensor& v_TGd)>;

  Decoder() = default;
  Decoder(const Decoder&) = default;  // copies handles, not bytes: for Share alone
  at::Tensor RunBlocks(at::Tensor residual_TD, const std::vector<int64_t>& positions_T, const AttendFunction& attend,
                       const BlockHook& hook) const;
  std::vector<ops::RopeAngles> Angles(const std::vector<int64_t>& positions_T) const;
  ops::NormOptions Norm() const { return {spec_.norm_eps, spec_.norm_offset}; }
  AttentionRule Rule(int64_t block) const { return {spec_.attention_scale, spec_.blocks[block].window}; }
  void CheckLength(int64_t tokens) const;
  at::Tensor& Slot(const TensorFacts& facts);
  at::Tensor Apply(const Block& block, int linear, const at::Tensor& input_TX) const;
  at::Tensor Merged(const Block& block, int linear) const;
  packed::BlockWeights MergedBlock(int64_t block) const;

  ModelSpec spec_;
  at::ScalarType compute_ = at::kFloat;
  at::Tensor embedding_;  // [V, D], compute dtype; the narrower stored one where linears are packed
  double embedding_scale_ = 1;
  at::Tensor final_norm_, head_;
  std::vector<Block> blocks_;
  LoraSpec lora_;
  std::vector<RopeTable> ropes_;                       // by BlockSpec::rope
  std::shared_ptr<const packed::PackedModel> packed_;  // shared as tensors are: copies of a handle
};

}  // namespace nla
