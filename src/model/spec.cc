// Tensor names and shapes of a spec. The parsing of config.json is families.cc's.
#include "model/spec.h"

#include <fmt/format.h>

namespace nla {

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
  for (int64_t block = 0; block < blocks; ++block) {
    const std::string prefix = fmt::format("model.layers.{}.", block);
    tensors.push_back({prefix + "input_layernorm.weight", {spec.d_model}});
    for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
      if (linear == 4) tensors.push_back({prefix + "post_attention_layernorm.weight", {spec.d_model}});
      const auto [out, in] = LinearShape(spec, linear);
      tensors.push_back({prefix + LinearNames()[linear] + ".weight", {out, in}});
    }
  }
  if (with_head) {
    tensors.push_back({"model.norm.weight", {spec.d_model}});
    if (!spec.tied_head) tensors.push_back({"lm_head.weight", {spec.vocab_size, spec.d_model}});
  }
  return tensors;
}

}  // namespace nla
