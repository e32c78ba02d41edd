// Checks of new weights, and their copying.
#include "serve/weight_update.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "base/fail.h"
#include "model/tensor_io.h"

namespace nla::serve {
namespace {

// What the decoder took from config.json and does not take again.
void CheckSpec(const ModelSpec& live, const ModelSpec& fresh, const std::string& where) {
  const auto check = [&](const char* field, auto found, auto wanted) {
    if (found == wanted) return;
    Fail({.where = where,
          .what = fmt::format("another model: {}", field),
          .found = fmt::format("{}", found),
          .wanted = fmt::format("{}", wanted)});
  };
  check("model_type", fresh.model_type, live.model_type);
  check("vocab_size", fresh.vocab_size, live.vocab_size);
  check("hidden_size", fresh.d_model, live.d_model);
  check("num_hidden_layers", fresh.n_blocks, live.n_blocks);
  check("num_attention_heads", fresh.n_heads, live.n_heads);
  check("num_key_value_heads", fresh.n_kv_heads, live.n_kv_heads);
  check("head_dim", fresh.d_head, live.d_head);
  check("intermediate_size", fresh.d_ff, live.d_ff);
  check("norm epsilon", fresh.norm_eps, live.norm_eps);
  check("tie_word_embeddings", fresh.tied_head, live.tied_head);
  check("attention scale", fresh.attention_scale, live.attention_scale);
  check("number of ropes", fresh.ropes.size(), live.ropes.size());
  for (size_t i = 0; i < live.ropes.size(); ++i) {
    check("rope theta", fresh.ropes[i].theta, live.ropes[i].theta);
    check("rope factor", fresh.ropes[i].factor, live.ropes[i].factor);
  }
  for (size_t i = 0; i < live.blocks.size(); ++i)
    check("attention window", fresh.blocks[i].window, live.blocks[i].window);
}

void CheckDirectory(const std::filesystem::path& directory) {
  if (std::filesystem::is_directory(directory)) return;
  Fail({.where = directory.string(), .what = "is not a directory of this machine"});
}

void CheckKind(bool fresh_adapters, bool live_adapters, const std::filesystem::path& directory) {
  if (fresh_adapters == live_adapters) return;
  Fail({.where = directory.string(),
        .what = fresh_adapters ? "holds adapters, and the model at work has none"
                               : "holds no adapters, and the model at work has some",
        .mend = fresh_adapters ? "Merge them first (`nla merge`)"
                               : "Whole weights would change the base model too: give adapters"});
}

}  // namespace

WeightUpdate WeightUpdate::Open(Decoder& decoder, const std::filesystem::path& directory) {
  CheckDirectory(directory);
  const bool adapters = HasAdapters(directory);
  CheckKind(adapters, decoder.lora().rank > 0, directory);
  return adapters ? OpenAdapters(decoder, directory) : OpenWhole(decoder, directory);
}

WeightUpdate WeightUpdate::Load(Decoder& decoder, const Loaded& loaded, const std::filesystem::path& directory) {
  CheckDirectory(directory);
  const bool adapters = HasAdapters(directory);
  CheckKind(adapters, HasAdapters(loaded.old), directory);
  const Checkpoint checkpoint = Checkpoint::Open(adapters ? loaded.base : directory);
  const std::string config = (checkpoint.directory() / "config.json").string();
  CheckSpec(decoder.spec(), ParseModelSpec(checkpoint.config(), config), config);
  DecoderOptions options = loaded.options;
  if (adapters) options.adapters = directory;
  WeightUpdate update(decoder);
  update.replacement_ = Decoder::Load(checkpoint, options);
  return update;
}

WeightUpdate WeightUpdate::OpenWhole(Decoder& decoder, const std::filesystem::path& directory) {
  WeightUpdate update(decoder);
  const Checkpoint& checkpoint = update.checkpoints_.emplace_back(Checkpoint::Open(directory));
  const std::string config = (directory / "config.json").string();
  const ModelSpec spec = ParseModelSpec(checkpoint.config(), config);
  CheckSpec(decoder.spec(), spec, config);
  for (const NamedTensor& live : decoder.Weights()) {
    update.Add(live.tensor, FindTensor(checkpoint, spec, live.name), directory.string());
  }
  return update;
}

WeightUpdate WeightUpdate::OpenAdapters(Decoder& decoder, const std::filesystem::path& directory) {
  WeightUpdate update(decoder);
  const AdapterFile& file = update.adapters_.emplace_back(AdapterFile::Open(directory));
  const LoraSpec& live = decoder.lora();
  const std::string where = file.path().string();
  if (file.spec().rank != live.rank || file.spec().alpha != live.alpha) {
    Fail({.where = where,
          .what = "other adapters than those at work",
          .found = fmt::format("rank {}, alpha {}", file.spec().rank, file.spec().alpha),
          .wanted = fmt::format("rank {}, alpha {}", live.rank, live.alpha)});
  }
  std::vector<NamedTensor> weights = decoder.AdapterWeights();
  size_t used = 0;
  const auto take = [&](const std::string& name, const TensorView& stored) {
    const auto found = std::find_if(weights.begin(), weights.end(), [&](const auto& one) { return one.name == name; });
    if (found == weights.end())
      Fail({.where = where, .what = "adapts a linear that has no adapter at work", .found = name});
    update.Add(found->tensor, stored, where);
    ++used;
  };
  for (int64_t block = 0; block < decoder.blocks(); ++block) {
    for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
      if (!file.adapts(linear)) continue;
      const AdapterFile::Factors& factors = file.At(block, linear);
      take(AdapterTensorName(block, linear, true), *factors.a);
      take(AdapterTensorName(block, linear, false), *factors.b);
    }
  }
  if (used != weights.size()) {
    Fail({.where = where,
          .what = "lacks adapters that are at work",
          .found = fmt::format("{} tensors", used),
          .wanted = fmt::format("{}", weights.size())});
  }
  return update;
}

void WeightUpdate::Add(const at::Tensor& live, const TensorView& stored, const std::string& where) {
  if (live.sizes().vec() != stored.shape) {
    Fail({.where = where,
          .what = fmt::format("tensor {} has another shape", stored.name),
          .found = fmt::format("[{}]", fmt::join(stored.shape, ", ")),
          .wanted = fmt::format("[{}]", fmt::join(live.sizes(), ", "))});
  }
  ScalarOf(stored.dtype, fmt::format("{}: {}", where, stored.name));  // an error for what is no floating type
  changes_.push_back({live, stored, where});
}

void WeightUpdate::Install() {
  const at::NoGradGuard no_grad;
  if (replacement_) {
    decoder_.TakeWeights(std::move(*replacement_));
    return;
  }
  for (const Change& change : changes_) {
    at::Tensor live = change.live;
    live.copy_(ToTensor(change.stored, change.stored.shape, live.scalar_type(), change.where));
  }
  if (const auto packing = decoder_.packing()) decoder_.Pack(*packing);
}

}  // namespace nla::serve
