// The decoder's weights: loading from a checkpoint, adapters laid over them, merging.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>

#include "base/fail.h"
#include "base/random.h"
#include "model/decoder.h"
#include "model/embedding_rows.h"
#include "model/packed/packed_model.h"
#include "model/tensor_io.h"

namespace nla {
namespace {

// Gives back the memory of a tensor that has been copied out of its checkpoint's mapped file: a large one is read once,
// and would otherwise count beside what was made of it.
void ReleasePages(const TensorView& view) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(view.bytes.data());
  const uintptr_t begin = (first + page - 1) / page * page;
  const uintptr_t end = (first + view.bytes.size()) / page * page;
  // A hint: the pages come back from the file when they are read again.
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace

Decoder Decoder::Load(const Checkpoint& checkpoint, const DecoderOptions& options) {
  const std::string where = checkpoint.directory().string();
  Decoder decoder;
  decoder.spec_ = ParseModelSpec(checkpoint.config(), (checkpoint.directory() / "config.json").string());
  decoder.compute_ = options.compute;
  const ModelSpec& spec = decoder.spec_;
  const int64_t blocks = options.blocks.value_or(spec.n_blocks);
  if (blocks < 1 || blocks > spec.n_blocks) {
    Fail({.where = where,
          .what = "number of blocks asked for",
          .found = std::to_string(blocks),
          .wanted = fmt::format("1 to {} (the model's num_hidden_layers)", spec.n_blocks)});
  }
  decoder.blocks_.resize(blocks);
  if (!options.adapters.empty()) decoder.LoadAdapters(options.adapters);
  auto model = options.packing ? std::make_shared<packed::PackedModel>(spec, *options.packing) : nullptr;
  const std::vector<TensorFacts> tensors = TensorsOf(spec, blocks, options.with_head);
  for (auto facts = tensors.begin(); facts != tensors.end(); ++facts) {
    const TensorView& view = FindTensor(checkpoint, spec, facts->name);
    const bool is_norm = facts->part == TensorPart::kNorm || facts->part == TensorPart::kFinalNorm;
    // Rows of a table that is only looked up in are the same in fp32 later.
    const bool narrow = view.dtype == DType::kBF16 || view.dtype == DType::kF16;
    const bool as_stored = model && narrow && facts->part == TensorPart::kEmbedding && options.compute == at::kFloat;
    const at::ScalarType kept = is_norm ? at::kFloat : as_stored ? ScalarOf(view.dtype, where) : options.compute;
    decoder.Slot(*facts) = ToTensor(view, facts->shape, kept, where);
    ReleasePages(view);
    const bool ends_block = facts->block >= 0 && (facts + 1 == tensors.end() || (facts + 1)->block != facts->block);
    if (!model || !ends_block) continue;
    model->AddBlock(decoder.MergedBlock(facts->block));
    Block& block = decoder.blocks_[facts->block];
    for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
      block.weights[linear] = block.biases[linear] = at::Tensor();
      block.adapters[linear] = {};
    }
  }
  if (model) {
    if (options.with_head) model->SetHead(decoder.head());
    decoder.head_ = at::Tensor();
    decoder.lora_ = {};
    decoder.packed_ = std::move(model);
  }
  for (const RopeSpec& rope : spec.ropes) decoder.ropes_.emplace_back(rope, spec.d_head, spec.max_positions);
  decoder.embedding_scale_ = EmbeddingScale(spec, options.compute);
  return decoder;
}

at::Tensor& Decoder::Slot(const TensorFacts& facts) {
  switch (facts.part) {
    case TensorPart::kEmbedding:
      return embedding_;
    case TensorPart::kNorm:
      return blocks_[facts.block].norms[facts.index];
    case TensorPart::kWeight:
      return blocks_[facts.block].weights[facts.index];
    case TensorPart::kBias:
      return blocks_[facts.block].biases[facts.index];
    case TensorPart::kFinalNorm:
      return final_norm_;
    case TensorPart::kHead:
      return head_;
  }
  NLA_CHECK(false);
}

std::vector<NamedTensor> Decoder::Weights() {
  NLA_CHECK(plain());
  std::vector<NamedTensor> weights;
  for (const TensorFacts& facts : TensorsOf(spec_, blocks(), final_norm_.defined())) {
    weights.push_back({facts.name, Slot(facts)});
  }
  return weights;
}

Decoder Decoder::Share(const DecoderOptions& options) const {
  const int64_t wanted = options.blocks.value_or(spec_.n_blocks);
  NLA_CHECK(plain() && options.compute == compute_ && wanted >= 1 && wanted <= blocks());
  NLA_CHECK(!options.with_head || final_norm_.defined());
  Decoder shared(*this);
  shared.blocks_.resize(wanted);
  for (Block& block : shared.blocks_) {
    for (Adapter& adapter : block.adapters) adapter = {};
  }
  shared.lora_ = {};
  shared.packed_.reset();
  if (!options.with_head) {
    shared.final_norm_ = at::Tensor();
    shared.head_ = at::Tensor();
  }
  return shared;
}

void Decoder::AddAdapters(const LoraSpec& lora, uint64_t seed) {
  NLA_CHECK(plain() && !packed_ && lora.rank > 0 && lora_.rank == 0);
  lora_ = lora;
  for (int64_t i = 0; i < blocks(); ++i) {
    for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
      const auto [out, in] = LinearShape(spec_, linear);
      at::Tensor a = at::empty({lora.rank, in}, at::kFloat);
      CounterRandom random(seed, static_cast<uint64_t>(i * kLinearsPerBlock + linear));
      const float bound = 1.0F / std::sqrt(static_cast<float>(in));
      float* data = a.mutable_data_ptr<float>();
      for (int64_t j = 0; j < a.numel(); ++j) data[j] = (2 * random.Uniform() - 1) * bound;
      blocks_[i].adapters[linear] = {a.to(compute_), at::zeros({out, lora.rank}, compute_)};
    }
  }
}

void Decoder::LoadAdapters(const std::filesystem::path& directory) {
  NLA_CHECK(!packed_ && lora_.rank == 0);
  const AdapterFile file = AdapterFile::Open(directory);
  lora_ = file.spec();
  const std::string where = file.path().string();
  for (int64_t i = 0; i < blocks(); ++i) {
    for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
      if (!file.adapts(linear)) continue;
      const auto [out, in] = LinearShape(spec_, linear);
      const AdapterFile::Factors& factors = file.At(i, linear);
      blocks_[i].adapters[linear] = {ToTensor(*factors.a, {lora_.rank, in}, compute_, where),
                                     ToTensor(*factors.b, {out, lora_.rank}, compute_, where)};
    }
  }
}

std::vector<NamedTensor> Decoder::AdapterWeights() {
  std::vector<NamedTensor> weights;
  for (int64_t i = 0; i < blocks() && lora_.rank > 0; ++i) {
    for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
      if (!blocks_[i].adapters[linear].defined()) continue;
      weights.push_back({AdapterTensorName(i, linear, true), blocks_[i].adapters[linear].a});
      weights.push_back({AdapterTensorName(i, linear, false), blocks_[i].adapters[linear].b});
    }
  }
  return weights;
}

// A linear with its adapter merged, in fp32 where it has one.
at::Tensor Decoder::Merged(const Block& block, int linear) const {
  const Adapter& adapter = block.adapters[linear];
  if (!adapter.defined()) return block.weights[linear];
  const at::Tensor delta = at::mm(adapter.b.to(at::kFloat), adapter.a.to(at::kFloat)) * lora_.scale();
  return block.weights[linear].to(at::kFloat) + delta;
}

void Decoder::MergeAdapters() {
  const at::NoGradGuard no_grad;
  for (Block& block : blocks_) {
    for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
      block.weights[linear] = Merged(block, linear).to(compute_);
      block.adapters[linear] = {};
    }
  }
  lora_ = {};
}

packed::BlockWeights Decoder::MergedBlock(int64_t block) const {
  const at::NoGradGuard no_grad;
  const Block& plain = blocks_[block];
  packed::BlockWeights merged;
  std::copy(std::begin(plain.norms), std::end(plain.norms), merged.norms);
  std::copy(std::begin(plain.biases), std::end(plain.biases), merged.biases);
  for (int linear = 0; linear < kLinearsPerBlock; ++linear) merged.weights[linear] = Merged(plain, linear);
  return merged;
}

void Decoder::Pack(packed::Format format) {
  NLA_CHECK(plain());
  const at::NoGradGuard no_grad;
  packed_.reset();  // its memory first
  auto model = std::make_shared<packed::PackedModel>(spec_, format);
  for (int64_t i = 0; i < blocks(); ++i) model->AddBlock(MergedBlock(i));
  if (final_norm_.defined()) model->SetHead(head());
  packed_ = std::move(model);
}

void Decoder::TakeWeights(Decoder&& other) {
  NLA_CHECK(other.blocks() == blocks() && other.compute_ == compute_);
  embedding_ = std::move(other.embedding_);
  final_norm_ = std::move(other.final_norm_);
  head_ = std::move(other.head_);
  blocks_ = std::move(other.blocks_);
  lora_ = other.lora_;
  packed_ = std::move(other.packed_);
}

std::optional<packed::Format> Decoder::packing() const {
  return packed_ ? std::optional(packed_->format()) : std::nullopt;
}

}  // namespace nla
