// Tensor names and shapes of a spec. The parsing of config.json is families.cc's.
#include "model/spec.h"

#include <fmt/format.h>

namespace nla {
namespace {

// The tensors of one block, in forward order.
class BlockTensors {
 public:
  BlockTensors(const ModelSpec& spec, int64_t block, std::vector<TensorFacts>& out)
      : spec_(spec), block_(block), prefix_(fmt::format("model.layers.{}.", block)), out_(out) {}

  void Norm(BlockNorm norm, const char* name, int64_t width) {
    if (!spec_.has_norm(norm)) return;
    out_.push_back({prefix_ + name + ".weight", {width}, TensorPart::kNorm, block_, norm});
  }
  void Linears(Linear first, Linear last) {
    for (int linear = first; linear <= last; ++linear) {
      const auto [out, in] = LinearShape(spec_, linear);
      const std::string name = prefix_ + LinearNames()[linear];
      out_.push_back({name + ".weight", {out, in}, TensorPart::kWeight, block_, linear});
      if (spec_.biases[linear]) out_.push_back({name + ".bias", {out}, TensorPart::kBias, block_, linear});
    }
  }

 private:
  const ModelSpec& spec_;
  int64_t block_;
  std::string prefix_;
  std::vector<TensorFacts>& out_;
};

}  // namespace

bool ModelSpec::has_norm(BlockNorm norm) const {
  if (norm == kQueryNorm || norm == kKeyNorm) return query_key_norms;
  if (norm == kPostAttentionNorm || norm == kPostFeedForwardNorm) return sandwich_norms;
  return true;
}

const std::vector<std::string>& LinearNames() {
  static const std::vector<std::string> names = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                 "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                                 "mlp.down_proj"};
  return names;
}

std::pair<int64_t, int64_t> LinearShape(const ModelSpec& spec, int linear) {
  const int64_t queries = spec.n_heads * spec.d_head;
  const int64_t keys = spec.n_kv_heads * spec.d_head;
  const std::pair<int64_t, int64_t> shapes[kLinearsPerBlock] = {
      {queries, spec.d_model},   {keys, spec.d_model},      {keys, spec.d_model},     {spec.d_model, queries},
      {spec.d_ff, spec.d_model}, {spec.d_ff, spec.d_model}, {spec.d_model, spec.d_ff}};
  return shapes[linear];
}

std::vector<TensorFacts> TensorsOf(const ModelSpec& spec, int64_t blocks, bool with_head) {
  std::vector<TensorFacts> tensors = {{"model.embed_tokens.weight", {spec.vocab_size, spec.d_model}}};
  // The norm before the feed-forward half took its name from where it stands; with sandwich norms that name is taken.
  const char* feed_forward_norm = spec.sandwich_norms ? "pre_feedforward_layernorm" : "post_attention_layernorm";
  for (int64_t i = 0; i < blocks; ++i) {
    BlockTensors block(spec, i, tensors);
    block.Norm(kInputNorm, "input_layernorm", spec.d_model);
    block.Linears(kQ, kV);
    block.Norm(kQueryNorm, "self_attn.q_norm", spec.d_head);
    block.Norm(kKeyNorm, "self_attn.k_norm", spec.d_head);
    block.Linears(kO, kO);
    block.Norm(kPostAttentionNorm, "post_attention_layernorm", spec.d_model);
    block.Norm(kFeedForwardNorm, feed_forward_norm, spec.d_model);
    block.Linears(kGate, kDown);
    block.Norm(kPostFeedForwardNorm, "post_feedforward_layernorm", spec.d_model);
  }
  if (with_head) {
    tensors.push_back({"model.norm.weight", {spec.d_model}, TensorPart::kFinalNorm});
    if (!spec.tied_head) tensors.push_back({"lm_head.weight", {spec.vocab_size, spec.d_model}, TensorPart::kHead});
  }
  return tensors;
}

std::vector<std::string> NamesInCheckpoint(const ModelSpec& spec, const std::string& name) {
  const size_t end = name.find('.') + 1;
  const auto& prefixes = name.starts_with("lm_head.") ? spec.head_prefixes : spec.body_prefixes;
  std::vector<std::string> names;
  for (const std::string& prefix : prefixes) names.push_back(prefix + name.substr(end));
  return names;
}

}  // namespace nla
