// One planning function a family, listed in one table.
#include "weights/gguf_family.h"

#include <fmt/format.h>

#include <array>
#include <set>

#include "base/fail.h"
#include "weights/gguf_fields.h"

namespace nla {
namespace {

using Json = nlohmann::ordered_json;

std::string ShapeText(const std::vector<int64_t>& shape) { return nlohmann::json(shape).dump(); }

std::string TorchName(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "float32";
    case DType::kF16:
      return "float16";
    case DType::kBF16:
      return "bfloat16";
    default:
      NLA_CHECK(false);
  }
}

Json OrNull(const std::optional<int64_t>& value) { return value ? Json(*value) : Json(nullptr); }

// The sizes of a Llama-type model, read and checked against each other.
struct LlamaSizes {
  int64_t blocks, hidden, inner, heads, kv_heads, head_width, vocabulary;
};

LlamaSizes ReadLlamaSizes(const GgufFile& file, const GgufFields& fields) {
  LlamaSizes sizes{};
  sizes.blocks = fields.Int("llama.block_count", 1);
  sizes.hidden = fields.Int("llama.embedding_length", 1);
  sizes.inner = fields.Int("llama.feed_forward_length", 1);
  sizes.heads = fields.Int("llama.attention.head_count", 1);
  sizes.kv_heads = fields.OptionalInt("llama.attention.head_count_kv", 1).value_or(sizes.heads);
  sizes.head_width = fields.OptionalInt("llama.attention.key_length", 2).value_or(sizes.hidden / sizes.heads);
  sizes.vocabulary = static_cast<int64_t>(fields.Strings("tokenizer.ggml.tokens").size());
  if (sizes.heads % sizes.kv_heads != 0) {
    Fail({.where = fields.Where("llama.attention.head_count_kv"),
          .what = "does not divide the number of heads",
          .found = std::to_string(sizes.kv_heads),
          .wanted = fmt::format("a divisor of {}", sizes.heads)});
  }
  if (sizes.head_width < 2 || sizes.head_width % 2 != 0) {
    Fail({.where = fields.Where("llama.attention.head_count"),
          .what = "width of a head is not even",
          .found = std::to_string(sizes.head_width)});
  }
  if (static_cast<size_t>(sizes.blocks) > file.tensors().size()) {
    Fail({.where = fields.Where("llama.block_count"),
          .what = "more blocks than tensors",
          .found = std::to_string(sizes.blocks)});
  }
  return sizes;
}

// What a Llama-type file may ask for and the plan below does not say.
void RefuseUnsupported(const GgufFields& fields, const LlamaSizes& sizes) {
  const auto require = [&](const std::string& key, int64_t wanted) {
    const int64_t found = fields.OptionalInt(key).value_or(wanted);
    if (found == wanted) return;
    Fail({.where = fields.Where(key),
          .what = "unsupported variant of the Llama architecture",
          .found = std::to_string(found),
          .wanted = std::to_string(wanted)});
  };
  require("llama.rope.dimension_count", sizes.head_width);
  require("llama.attention.value_length", sizes.head_width);
  require("llama.expert_count", 0);
  require("llama.vocab_size", sizes.vocabulary);
  const std::string scaling = "llama.rope.scaling.type";
  if (fields.Has(scaling) && fields.String(scaling) != "none") {
    Fail({.where = fields.Where(scaling), .what = "unsupported", .found = fields.String(scaling), .wanted = "none"});
  }
}

Json LlamaConfig(const GgufFields& fields, const LlamaSizes& sizes, bool tied) {
  Json config;
  config["architectures"] = Json::array({"LlamaForCausalLM"});
  config["model_type"] = "llama";
  config["hidden_size"] = sizes.hidden;
  config["intermediate_size"] = sizes.inner;
  config["num_hidden_layers"] = sizes.blocks;
  config["num_attention_heads"] = sizes.heads;
  config["num_key_value_heads"] = sizes.kv_heads;
  config["head_dim"] = sizes.head_width;
  config["hidden_act"] = "silu";
  config["rms_norm_eps"] = fields.PositiveFloat("llama.attention.layer_norm_rms_epsilon");
  const std::string theta = "llama.rope.freq_base";
  config["rope_theta"] = fields.Has(theta) ? fields.PositiveFloat(theta) : 10000.0;  // the format's default
  config["max_position_embeddings"] = fields.Int("llama.context_length", 1);
  config["vocab_size"] = sizes.vocabulary;
  config["tie_word_embeddings"] = tied;
  config["attention_bias"] = false;
  config["mlp_bias"] = false;
  config["bos_token_id"] = OrNull(fields.OptionalInt("tokenizer.ggml.bos_token_id"));
  config["eos_token_id"] = OrNull(fields.OptionalInt("tokenizer.ggml.eos_token_id"));
  config["pad_token_id"] = OrNull(fields.OptionalInt("tokenizer.ggml.padding_token_id"));
  return config;
}

// Collects tensors by their names in the file, checking shapes on the way and left-overs at the end.
class Planner {
 public:
  explicit Planner(const GgufFile& file) : file_(file) {}

  void Add(const std::string& name, const std::string& source, const std::vector<int64_t>& shape,
           int64_t paired_heads = 0) {
    const GgufTensor* tensor = file_.Find(source);
    if (tensor == nullptr) Fail({.where = file_.path().string(), .what = "tensor is missing", .found = source});
    if (tensor->shape != shape) {
      Fail({.where = fmt::format("{}: tensor {}", file_.path().string(), source),
            .what = "shape",
            .found = ShapeText(tensor->shape),
            .wanted = ShapeText(shape)});
    }
    used_.insert(source);
    tensors_.push_back({name, tensor, paired_heads});
  }

  std::vector<PlannedTensor> Finish() {
    for (const GgufTensor& tensor : file_.tensors()) {
      if (used_.contains(tensor.name)) continue;
      Fail({.where = file_.path().string(),
            .what = "a tensor that this family does not have",
            .found = tensor.name,
            .mend = "This variant of the architecture cannot be converted"});
    }
    return std::move(tensors_);
  }

 private:
  const GgufFile& file_;
  std::set<std::string> used_;
  std::vector<PlannedTensor> tensors_;
};

ConversionPlan PlanLlama(const GgufFile& file) {
  const GgufFields fields(file);
  const LlamaSizes s = ReadLlamaSizes(file, fields);
  RefuseUnsupported(fields, s);
  const bool tied = file.Find("output.weight") == nullptr;
  Planner planner(file);
  planner.Add("model.embed_tokens.weight", "token_embd.weight", {s.vocabulary, s.hidden});
  for (int64_t i = 0; i < s.blocks; ++i) {
    const std::string to = fmt::format("model.layers.{}.", i);
    const std::string from = fmt::format("blk.{}.", i);
    const int64_t q_rows = s.heads * s.head_width;
    const int64_t kv_rows = s.kv_heads * s.head_width;
    planner.Add(to + "input_layernorm.weight", from + "attn_norm.weight", {s.hidden});
    planner.Add(to + "self_attn.q_proj.weight", from + "attn_q.weight", {q_rows, s.hidden}, s.heads);
    planner.Add(to + "self_attn.k_proj.weight", from + "attn_k.weight", {kv_rows, s.hidden}, s.kv_heads);
    planner.Add(to + "self_attn.v_proj.weight", from + "attn_v.weight", {kv_rows, s.hidden});
    planner.Add(to + "self_attn.o_proj.weight", from + "attn_output.weight", {s.hidden, q_rows});
    planner.Add(to + "post_attention_layernorm.weight", from + "ffn_norm.weight", {s.hidden});
    planner.Add(to + "mlp.gate_proj.weight", from + "ffn_gate.weight", {s.inner, s.hidden});
    planner.Add(to + "mlp.up_proj.weight", from + "ffn_up.weight", {s.inner, s.hidden});
    planner.Add(to + "mlp.down_proj.weight", from + "ffn_down.weight", {s.hidden, s.inner});
  }
  planner.Add("model.norm.weight", "output_norm.weight", {s.hidden});
  if (!tied) planner.Add("lm_head.weight", "output.weight", {s.vocabulary, s.hidden});
  return {LlamaConfig(fields, s, tied), planner.Finish()};
}

struct Family {
  std::string_view architecture;
  ConversionPlan (*plan)(const GgufFile& file);
};
constexpr std::array<Family, 1> kFamilies = {{{"llama", PlanLlama}}};

}  // namespace

ConversionPlan PlanConversion(const GgufFile& file, DType dtype) {
  const GgufFields fields(file);
  const std::string key = "general.architecture";
  const std::string architecture = fields.String(key);
  std::string known;
  for (const Family& family : kFamilies) {
    known += (known.empty() ? "" : ", ") + std::string(family.architecture);
    if (family.architecture != architecture) continue;
    ConversionPlan plan = family.plan(file);
    plan.config["torch_dtype"] = TorchName(dtype);
    return plan;
  }
  Fail({.where = fields.Where(key), .what = "unsupported architecture", .found = architecture, .wanted = known});
}

}  // namespace nla
