// The tables of families. Metadata and config.json are gguf_config.cc's and gguf_metadata.cc's.
#include "weights/gguf_family.h"

#include <fmt/format.h>

#include <array>

#include "base/fail.h"

namespace nla {
namespace {

using enum Extent;
using enum Twist;

constexpr TensorRule kInputNorm = {"attn_norm.weight", "input_layernorm.weight", kHidden};
constexpr TensorRule kQuery = {"attn_q.weight", "self_attn.q_proj.weight", kQueries, kHidden};
constexpr TensorRule kKey = {"attn_k.weight", "self_attn.k_proj.weight", kKeys, kHidden};
constexpr TensorRule kValue = {"attn_v.weight", "self_attn.v_proj.weight", kKeys, kHidden};
constexpr TensorRule kOutput = {"attn_output.weight", "self_attn.o_proj.weight", kHidden, kQueries};
constexpr TensorRule kPostNorm = {"ffn_norm.weight", "post_attention_layernorm.weight", kHidden};
constexpr TensorRule kGate = {"ffn_gate.weight", "mlp.gate_proj.weight", kInner, kHidden};
constexpr TensorRule kUp = {"ffn_up.weight", "mlp.up_proj.weight", kInner, kHidden};
constexpr TensorRule kDown = {"ffn_down.weight", "mlp.down_proj.weight", kHidden, kInner};
constexpr TensorRule kQueryNorm = {"attn_q_norm.weight", "self_attn.q_norm.weight", kHead};
constexpr TensorRule kKeyNorm = {"attn_k_norm.weight", "self_attn.k_norm.weight", kHead};

constexpr TensorRule Twisted(TensorRule rule, Twist twist) {
  rule.twist = twist;
  return rule;
}

constexpr std::array kLlama = {
    kInputNorm, Twisted(kQuery, kPairedQueries), Twisted(kKey, kPairedKeys), kValue, kOutput, kPostNorm, kGate, kUp,
    kDown,
};

constexpr std::array kQwen2 = {
    kInputNorm,
    kQuery,
    TensorRule{"attn_q.bias", "self_attn.q_proj.bias", kQueries},
    kKey,
    TensorRule{"attn_k.bias", "self_attn.k_proj.bias", kKeys},
    kValue,
    TensorRule{"attn_v.bias", "self_attn.v_proj.bias", kKeys},
    kOutput,
    kPostNorm,
    kGate,
    kUp,
    kDown,
};

constexpr std::array kQwen3 = {
    kInputNorm, kQuery, kQueryNorm, kKey, kKeyNorm, kValue, kOutput, kPostNorm, kGate, kUp, kDown,
};

constexpr std::array kGemma3 = {
    Twisted(kInputNorm, kOneAdded),
    kQuery,
    Twisted(kQueryNorm, kOneAdded),
    kKey,
    Twisted(kKeyNorm, kOneAdded),
    kValue,
    kOutput,
    TensorRule{"post_attention_norm.weight", "post_attention_layernorm.weight", kHidden, kNone, kOneAdded},
    TensorRule{"ffn_norm.weight", "pre_feedforward_layernorm.weight", kHidden, kNone, kOneAdded},
    kGate,
    kUp,
    kDown,
    TensorRule{"post_ffw_norm.weight", "post_feedforward_layernorm.weight", kHidden, kNone, kOneAdded},
};

// Mistral's files say "llama", and compute the same.
constexpr std::array<std::string_view, 2> kLlamaTypes = {"llama", "mistral"};
constexpr std::array<std::string_view, 1> kQwen2Types = {"qwen2"};
constexpr std::array<std::string_view, 1> kQwen3Types = {"qwen3"};
// "gemma3" is the whole with a vision tower, whose text model lies in text_config.
constexpr std::array<std::string_view, 2> kGemma3Types = {"gemma3_text", "gemma3"};

constexpr std::array<GgufFamily, 4> kFamilies = {{
    {"llama", "llama", kLlamaTypes, "LlamaForCausalLM", kLlama},
    {"qwen2", "qwen2", kQwen2Types, "Qwen2ForCausalLM", kQwen2},
    {"qwen3", "qwen3", kQwen3Types, "Qwen3ForCausalLM", kQwen3},
    {"gemma3", "gemma3_text", kGemma3Types, "Gemma3ForCausalLM", kGemma3, kOneAdded},
}};

int64_t Length(Extent extent, const ModelSizes& sizes) {
  switch (extent) {
    case kHidden:
      return sizes.hidden;
    case kInner:
      return sizes.inner;
    case kQueries:
      return sizes.heads * sizes.head_width;
    case kKeys:
      return sizes.kv_heads * sizes.head_width;
    case kHead:
      return sizes.head_width;
    case kNone:
      break;
  }
  NLA_CHECK(false);
}

}  // namespace

std::span<const GgufFamily> GgufFamilies() { return kFamilies; }

std::vector<TensorPair> TensorPairs(const GgufFamily& family, const ModelSizes& sizes, bool tied_head) {
  const std::vector<int64_t> table = {sizes.vocabulary, sizes.hidden};
  std::vector<TensorPair> pairs = {{"token_embd.weight", "model.embed_tokens.weight", table}};
  for (int64_t block = 0; block < sizes.blocks; ++block) {
    for (const TensorRule& rule : family.block) {
      std::vector<int64_t> shape = {Length(rule.rows, sizes)};
      if (rule.columns != kNone) shape.push_back(Length(rule.columns, sizes));
      pairs.push_back({fmt::format("blk.{}.{}", block, rule.gguf),
                       fmt::format("model.layers.{}.{}", block, rule.checkpoint), std::move(shape), rule.twist});
    }
  }
  pairs.push_back({"output_norm.weight", "model.norm.weight", {sizes.hidden}, family.final_norm});
  if (!tied_head) pairs.push_back({"output.weight", "lm_head.weight", table});
  return pairs;
}

int64_t PairedHeads(Twist twist, const ModelSizes& sizes) {
  if (twist == kPairedQueries) return sizes.heads;
  return twist == kPairedKeys ? sizes.kv_heads : 0;
}

}  // namespace nla
