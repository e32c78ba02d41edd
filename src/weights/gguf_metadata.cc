// Reads config.json as transformers does, defaults included, and writes what llama.cpp reads.
#include "weights/gguf_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"

namespace nla {
namespace {

using SortedJson = nlohmann::json;

// Typed access to a config: null counts as absent.
class Config {
 public:
  Config(const SortedJson& config, std::string where) : config_(config), where_(std::move(where)) {}

  const SortedJson* Find(const std::string& key) const {
    const auto it = config_.find(key);
    return it == config_.end() || it->is_null() ? nullptr : &*it;
  }
  int64_t Int(const std::string& key, std::optional<int64_t> otherwise = std::nullopt) const {
    const SortedJson* value = Find(key);
    if (value == nullptr && otherwise) return *otherwise;
    if (value == nullptr) Fail({.where = where_, .what = key + " is missing", .wanted = "a positive whole number"});
    if (value->is_number_unsigned() && value->get<uint64_t>() > 0 && value->get<uint64_t>() <= INT32_MAX) {
      return value->get<int64_t>();
    }
    Refuse(key, "a positive whole number");
  }
  double Float(const std::string& key, double otherwise) const {
    const SortedJson* value = Find(key);
    if (value == nullptr) return otherwise;
    if (value->is_number() && std::isfinite(value->get<double>()) && value->get<double>() > 0)
      return value->get<double>();
    Refuse(key, "a number above 0");
  }
  bool Bool(const std::string& key, bool otherwise) const {
    const SortedJson* value = Find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) Refuse(key, "true or false");
    return value->get<bool>();
  }
  // One id or a list of them.
  std::vector<int64_t> Ids(const std::string& key) const {
    const SortedJson* value = Find(key);
    if (value == nullptr) return {};
    std::vector<int64_t> ids;
    for (const SortedJson& id : value->is_array() ? *value : SortedJson::array({*value})) {
      if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX) Refuse(key, "a token id or a list of them");
      ids.push_back(id.get<int64_t>());
    }
    return ids;
  }
  // A setting that has no place in a GGUF file must be absent or `harmless`.
  void Require(const std::string& key, const SortedJson& harmless) const {
    const SortedJson* value = Find(key);
    if (value != nullptr && *value != harmless) Refuse(key, harmless.dump());
  }
  [[noreturn]] void Refuse(const std::string& key, const std::string& wanted) const {
    const SortedJson* value = Find(key);
    std::string found = value == nullptr ? "null" : value->dump();
    if (found.size() > 80) found = found.substr(0, 77) + "...";
    Fail({.where = where_,
          .what = fmt::format("{} cannot be put into a GGUF file", key),
          .found = found,
          .wanted = wanted});
  }
  const std::string& where() const { return where_; }

 private:
  const SortedJson& config_;
  std::string where_;
};

const GgufFamily& FamilyOf(const std::string& model_type, const std::string& where) {
  std::string known;
  for (const GgufFamily& family : GgufFamilies()) {
    for (const std::string_view type : family.model_types) {
      if (type == model_type) return family;
      known += (known.empty() ? "" : ", ") + std::string(type);
    }
  }
  Fail({.where = where, .what = "model_type has no GGUF form here", .found = model_type, .wanted = known});
}

ModelSizes ReadSizes(const Config& config, bool gemma) {
  // Gemma 3 with a vision tower leaves out of text_config what transformers fills in.
  const auto gemmas = [&](int64_t value) { return gemma ? std::optional(value) : std::nullopt; };
  ModelSizes sizes;
  sizes.blocks = config.Int("num_hidden_layers");
  sizes.hidden = config.Int("hidden_size");
  sizes.inner = config.Int("intermediate_size");
  sizes.heads = config.Int("num_attention_heads", gemmas(8));
  sizes.kv_heads = config.Int("num_key_value_heads", gemmas(4).value_or(sizes.heads));
  sizes.head_width = config.Int("head_dim", gemmas(256).value_or(sizes.hidden / sizes.heads));
  sizes.vocabulary = config.Int("vocab_size", gemmas(262208));
  if (sizes.heads % sizes.kv_heads != 0) config.Refuse("num_key_value_heads", "a divisor of num_attention_heads");
  constexpr int64_t kWidest = 65536;
  if (sizes.head_width < 2 || sizes.head_width % 2 != 0 || sizes.head_width > kWidest) {
    config.Refuse("head_dim", "an even number up to 65536");
  }
  return sizes;
}

// The settings of rotary embeddings: transformers 5 writes them into rope_parameters (Gemma: one for each kind of
// block), transformers 4 at the top and into rope_scaling.
struct Rope {
  double base = 10000;
  std::optional<double> local_base;  // of Gemma's sliding blocks
  SortedJson scaling;                // an object with its type in "rope_type", or null
};

Rope ReadRope(const Config& config, bool gemma) {
  Rope rope;
  rope.base = config.Float("rope_theta", gemma ? 1e6 : 1e4);
  if (gemma) rope.local_base = config.Float("rope_local_base_freq", 1e4);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const SortedJson* holder = config.Find(key);
    if (holder == nullptr) continue;
    if (!holder->is_object()) config.Refuse(key, "an object");
    const bool by_kind = holder->contains("full_attention");
    const SortedJson& settings = by_kind ? (*holder)["full_attention"] : *holder;
    if (!settings.is_object()) config.Refuse(key, "an object");
    const Config inner(settings, fmt::format("{}: {}", config.where(), key));
    rope.base = inner.Float("rope_theta", rope.base);
    rope.scaling = settings;
    if (!rope.scaling.contains("rope_type")) rope.scaling["rope_type"] = settings.value("type", SortedJson("default"));
    if (by_kind && holder->contains("sliding_attention")) {
      const Config local((*holder)["sliding_attention"], inner.where() + ": sliding_attention");
      local.Require("rope_type", "default");
      rope.local_base = local.Float("rope_theta", 1e4);
    }
  }
  return rope;
}

void AddScaling(const Config& config, const Rope& rope, const std::string& prefix, GgufModel& model) {
  if (rope.scaling.is_null()) return;
  const Config scaling(rope.scaling, config.where() + ": rope scaling");
  const std::string type = rope.scaling["rope_type"].is_string() ? rope.scaling["rope_type"].get<std::string>() : "";
  if (type == "default") return;
  if (type == "llama3") {
    const Llama3Scaling llama3{.factor = scaling.Float("factor", 8),
                               .low_freq_factor = scaling.Float("low_freq_factor", 1),
                               .high_freq_factor = scaling.Float("high_freq_factor", 4),
                               .original_positions = scaling.Int("original_max_position_embeddings", 8192)};
    model.rope_factors = Llama3Factors(llama3, rope.base, model.sizes.head_width);
    return;
  }
  if (type != "linear" && type != "yarn") scaling.Refuse("rope_type", "default, linear, yarn or llama3");
  model.metadata.push_back({prefix + "rope.scaling.type", type});
  model.metadata.push_back({prefix + "rope.scaling.factor", static_cast<float>(scaling.Float("factor", 1))});
  if (type == "linear") return;
  const auto original = static_cast<uint32_t>(scaling.Int("original_max_position_embeddings"));
  model.metadata.push_back({prefix + "rope.scaling.original_context_length", original});
}

// llama.cpp knows these of Gemma 3 by itself; a model that differs has no form that it reads.
void AddGemma3(const Config& config, const Rope& rope, const std::string& prefix, GgufModel& model) {
  const ModelSizes& sizes = model.sizes;
  constexpr int64_t kPattern = 6;
  constexpr int64_t kBlocksOf27B = 62;
  if (const SortedJson* types = config.Find("layer_types")) {
    for (int64_t i = 0; i < sizes.blocks; ++i) {
      const char* wanted = (i + 1) % kPattern == 0 ? "full_attention" : "sliding_attention";
      if (types->is_array() && static_cast<int64_t>(types->size()) == sizes.blocks &&
          types->at(static_cast<size_t>(i)) == wanted)
        continue;
      config.Refuse("layer_types", "five sliding blocks, then a full one");
    }
  }
  config.Require("sliding_window_pattern", kPattern);
  config.Require("query_pre_attn_scalar", sizes.blocks == kBlocksOf27B ? sizes.hidden / sizes.heads : sizes.head_width);
  config.Require("attn_logit_softcapping", nullptr);
  config.Require("final_logit_softcapping", nullptr);
  config.Require("hidden_activation", "gelu_pytorch_tanh");
  config.Require("use_bidirectional_attention", false);
  model.metadata.push_back(
      {prefix + "attention.sliding_window", static_cast<uint32_t>(config.Int("sliding_window", 4096))});
  if (*rope.local_base != 1e4) {
    model.metadata.push_back({prefix + "rope.freq_base_swa", static_cast<float>(*rope.local_base)});
  }
}

void RefuseUnsupported(const Config& config, bool gemma) {
  config.Require("attention_bias", false);
  if (gemma) return;
  config.Require("mlp_bias", false);
  config.Require("hidden_act", "silu");
  config.Require("use_sliding_window", false);
  // Mistral's and Qwen's keys; Qwen's counts only with use_sliding_window.
  if (config.Find("use_sliding_window") == nullptr) config.Require("sliding_window", nullptr);
}

}  // namespace

GgufModel DescribeModel(const nlohmann::json& whole, const std::string& where) {
  const auto nested = whole.find("text_config");
  const bool has_nested = nested != whole.end() && nested->is_object();
  const Config outer(whole, where);
  const Config config(has_nested ? *nested : whole, has_nested ? where + ": text_config" : where);
  const SortedJson* type = outer.Find("model_type");
  GgufModel model;
  model.family = &FamilyOf(type != nullptr && type->is_string() ? type->get<std::string>() : "", where);
  const bool gemma = model.family->architecture == "gemma3";
  RefuseUnsupported(config, gemma);
  model.sizes = ReadSizes(config, gemma);
  model.tied_head = config.Bool("tie_word_embeddings", outer.Bool("tie_word_embeddings", gemma));
  const std::string prefix = std::string(model.family->architecture) + ".";
  const auto add = [&](const char* key, int64_t value) {
    model.metadata.push_back({prefix + key, static_cast<uint32_t>(value)});
  };
  const Rope rope = ReadRope(config, gemma);
  add("block_count", model.sizes.blocks);
  add("context_length", config.Int("max_position_embeddings", gemma ? 131072 : 2048));
  add("embedding_length", model.sizes.hidden);
  add("feed_forward_length", model.sizes.inner);
  add("attention.head_count", model.sizes.heads);
  add("attention.head_count_kv", model.sizes.kv_heads);
  add("attention.key_length", model.sizes.head_width);
  add("attention.value_length", model.sizes.head_width);
  add("rope.dimension_count", model.sizes.head_width);
  add("vocab_size", model.sizes.vocabulary);
  model.metadata.push_back(
      {prefix + "attention.layer_norm_rms_epsilon", static_cast<float>(config.Float("rms_norm_eps", 1e-6))});
  model.metadata.push_back({prefix + "rope.freq_base", static_cast<float>(rope.base)});
  AddScaling(config, rope, prefix, model);
  if (gemma) AddGemma3(config, rope, prefix, model);
  const auto first = [](const std::vector<int64_t>& ids) {
    return ids.empty() ? std::nullopt : std::optional(ids.front());
  };
  model.bos = first(config.Ids("bos_token_id"));
  model.pad = first(config.Ids("pad_token_id"));
  model.ends = outer.Find("eos_token_id") != nullptr ? outer.Ids("eos_token_id") : config.Ids("eos_token_id");
  return model;
}

}  // namespace nla
