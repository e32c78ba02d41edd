// The table of model families: one function each that turns a config.json into a ModelSpec. Absent keys take the value
// that transformers gives them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/fail.h"
#include "model/config_reader.h"
#include "model/spec.h"

namespace nla {
namespace {

using nlohmann::json;

constexpr int64_t kMostBlocks = 4096;  // a larger number is a damaged file

void CheckHeads(const ConfigReader& config, const ModelSpec& spec) {
  if (spec.n_heads % spec.n_kv_heads != 0) {
    config.Reject("num_key_value_heads", "", fmt::format("a divisor of num_attention_heads = {}", spec.n_heads));
  }
  if (spec.d_head < 2 || spec.d_head % 2 != 0) config.Reject("head_dim", "", "an even number");
}

std::vector<BlockSpec> PlainBlocks(const ConfigReader& config, int64_t count) {
  if (count > kMostBlocks) config.Reject("num_hidden_layers", "", fmt::format("at most {}", kMostBlocks));
  return std::vector<BlockSpec>(count);
}

void SetAttentionBiases(ModelSpec& spec) {
  for (const Linear linear : {kQ, kK, kV, kO}) spec.biases[linear] = true;
}

// What Llama, Mistral and Qwen have in common: one kind of block, silu, one norm before each half.
ModelSpec ParsePlain(const ConfigReader& config) {
  ModelSpec spec;
  spec.vocab_size = config.Count("vocab_size");
  spec.d_model = config.Count("hidden_size");
  spec.n_blocks = config.Count("num_hidden_layers");
  spec.n_heads = config.Count("num_attention_heads");
  spec.n_kv_heads = config.CountOr("num_key_value_heads", spec.n_heads);
  spec.d_head = config.CountOr("head_dim", spec.d_model / spec.n_heads);
  spec.d_ff = config.Count("intermediate_size");
  spec.max_positions = config.CountOr("max_position_embeddings", 2048);
  spec.norm_eps = config.PositiveOr("rms_norm_eps", 1e-6);
  spec.attention_scale = 1 / std::sqrt(static_cast<double>(spec.d_head));
  spec.ropes = {config.Rope()};
  spec.tied_head = config.FlagOr("tie_word_embeddings", false);
  spec.blocks = PlainBlocks(config, spec.n_blocks);
  config.RefuseUnless("hidden_act", "silu");
  CheckHeads(config, spec);
  return spec;
}

ModelSpec ParseLlama(const ConfigReader& config) {
  ModelSpec spec = ParsePlain(config);
  if (config.FlagOr("attention_bias", false)) SetAttentionBiases(spec);
  if (config.FlagOr("mlp_bias", false)) {
    for (const Linear linear : {kGate, kUp, kDown}) spec.biases[linear] = true;
  }
  return spec;
}

// All blocks slide, or none; an absent sliding_window is the family's first model's.
ModelSpec ParseMistral(const ConfigReader& config) {
  ModelSpec spec = ParsePlain(config);
  config.RefuseUnless("layer_types", nullptr);
  const int64_t window = config.HasNull("sliding_window") ? 0 : config.CountOr("sliding_window", 4096);
  for (BlockSpec& block : spec.blocks) block.window = window;
  return spec;
}

// Blocks from max_window_layers on slide, where use_sliding_window says so.
void SetQwenWindows(const ConfigReader& config, ModelSpec& spec) {
  const std::vector<bool> sliding = config.SlidingLayers(spec.n_blocks);
  const bool in_use = config.FlagOr("use_sliding_window", false) && !config.HasNull("sliding_window");
  if (!in_use) return;
  const int64_t window = config.CountOr("sliding_window", 4096);
  const int64_t first = config.CountOrZeroOr("max_window_layers", 28);
  for (int64_t i = 0; i < spec.n_blocks; ++i) {
    if (sliding.empty() ? i >= first : sliding[i]) spec.blocks[i].window = window;
  }
}

ModelSpec ParseQwen2(const ConfigReader& config) {
  ModelSpec spec = ParsePlain(config);
  for (const Linear linear : {kQ, kK, kV}) spec.biases[linear] = true;
  SetQwenWindows(config, spec);
  return spec;
}

ModelSpec ParseQwen3(const ConfigReader& config) {
  ModelSpec spec = ParsePlain(config);
  spec.d_head = config.CountOr("head_dim", 128);
  spec.attention_scale = 1 / std::sqrt(static_cast<double>(spec.d_head));
  if (config.FlagOr("attention_bias", false)) SetAttentionBiases(spec);
  spec.query_key_norms = true;
  SetQwenWindows(config, spec);
  CheckHeads(config, spec);
  return spec;
}

// Sliding blocks turn by the local frequencies, the others by the global ones: transformers 5 has both in
// rope_parameters, 4 at the top.
std::vector<RopeSpec> GemmaRopes(const ConfigReader& config) {
  constexpr double kGlobal = 1e6;
  constexpr double kLocal = 1e4;
  if (const auto both = config.Section("rope_parameters")) {
    const auto global = both->Section("full_attention");
    const auto local = both->Section("sliding_attention");
    if (!global || !local) config.Reject("rope_parameters", "", "an object with full_attention and sliding_attention");
    config.RefuseUnless("rope_scaling", nullptr);
    return {global->RopeOf(kGlobal), local->RopeOf(kLocal)};
  }
  const double theta = config.PositiveOr("rope_theta", kGlobal);
  const auto scaling = config.Section("rope_scaling");
  return {scaling ? scaling->RopeOf(theta) : RopeSpec{.theta = theta, .factor = 1, .bands = {}},
          {.theta = config.PositiveOr("rope_local_base_freq", kLocal), .factor = 1, .bands = {}}};
}

// Every sliding_window_pattern-th block is global, where layer_types does not say which.
void SetGemmaWindows(const ConfigReader& config, ModelSpec& spec) {
  const std::vector<bool> sliding = config.SlidingLayers(spec.n_blocks);
  if (config.HasNull("sliding_window")) config.Reject("sliding_window", "", "a positive whole number");
  const int64_t window = config.CountOr("sliding_window", 4096);
  const int64_t pattern = config.CountOr("sliding_window_pattern", 6);
  for (int64_t i = 0; i < spec.n_blocks; ++i) {
    if (sliding.empty() ? (i + 1) % pattern != 0 : sliding[i]) spec.blocks[i] = {.window = window, .rope = 1};
  }
}

ModelSpec ParseGemma3Text(const ConfigReader& config) {
  ModelSpec spec;
  spec.vocab_size = config.CountOr("vocab_size", 262208);
  spec.d_model = config.Count("hidden_size");
  spec.n_blocks = config.Count("num_hidden_layers");
  spec.n_heads = config.CountOr("num_attention_heads", 8);
  spec.n_kv_heads = config.CountOr("num_key_value_heads", 4);
  spec.d_head = config.CountOr("head_dim", 256);
  spec.d_ff = config.Count("intermediate_size");
  spec.max_positions = config.CountOr("max_position_embeddings", 131072);
  spec.norm_eps = config.PositiveOr("rms_norm_eps", 1e-6);
  spec.norm_offset = 1;
  spec.embedding_scale = std::sqrt(static_cast<double>(spec.d_model));
  spec.attention_scale = 1 / std::sqrt(config.PositiveOr("query_pre_attn_scalar", 256));
  spec.activation = Activation::kGeluTanh;
  if (config.FlagOr("attention_bias", false)) SetAttentionBiases(spec);
  spec.query_key_norms = true;
  spec.sandwich_norms = true;
  spec.tied_head = config.FlagOr("tie_word_embeddings", true);
  spec.ropes = GemmaRopes(config);
  spec.blocks = PlainBlocks(config, spec.n_blocks);
  SetGemmaWindows(config, spec);
  config.RefuseUnless("hidden_activation", "gelu_pytorch_tanh");
  config.RefuseUnless("final_logit_softcapping", nullptr);
  config.RefuseUnless("attn_logit_softcapping", nullptr);
  config.RefuseUnless("use_bidirectional_attention", false);
  CheckHeads(config, spec);
  return spec;
}

// A language model beside a vision tower, which is left alone.
ModelSpec ParseGemma3(const ConfigReader& config) {
  const std::optional<ConfigReader> text = config.Section("text_config");
  if (!text) config.Reject("text_config", "is missing", "the language model's config");
  text->RefuseUnless("model_type", "gemma3_text");
  ModelSpec spec = ParseGemma3Text(*text);
  spec.tied_head = config.FlagOr("tie_word_embeddings", spec.tied_head);
  // As published, and as transformers names its modules.
  spec.body_prefixes = {"language_model.model.", "model.language_model."};
  spec.head_prefixes = {"language_model.lm_head.", "lm_head."};
  return spec;
}

struct Family {
  const char* model_type;
  ModelSpec (*parse)(const ConfigReader& config);
  // Where the language model's config is nested: what it is called alone.
  const char* text_type = nullptr;
  const char* text_architecture = nullptr;
};

constexpr Family kFamilies[] = {
    {"llama", ParseLlama},
    {"mistral", ParseMistral},
    {"qwen2", ParseQwen2},
    {"qwen3", ParseQwen3},
    {"gemma3_text", ParseGemma3Text},
    {"gemma3", ParseGemma3, "gemma3_text", "Gemma3ForCausalLM"},
};

const Family* FindFamily(const std::string& model_type) {
  const auto* const found = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                         [&](const Family& family) { return model_type == family.model_type; });
  return found == std::end(kFamilies) ? nullptr : found;
}

std::string KnownFamilies() {
  std::string known;
  for (const Family& family : kFamilies) known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  return known;
}

}  // namespace

ModelSpec ParseModelSpec(const json& config, const std::string& where) {
  const ConfigReader reader(config, where);
  const std::string type = reader.TextOr("model_type", "");
  const Family* family = FindFamily(type);
  if (family == nullptr) {
    Fail({.where = where, .what = "model_type is not a known family", .found = type, .wanted = KnownFamilies()});
  }
  reader.RefuseUnless("quantization_config", nullptr);
  ModelSpec spec = family->parse(reader);
  spec.model_type = type;
  return spec;
}

json CutConfig(const json& config, int64_t blocks) {
  json cut = config;
  const Family* family = FindFamily(config.value("model_type", ""));
  if (family != nullptr && family->text_type != nullptr) {
    cut = config.at("text_config");
    // Settings of the whole that hold for its language model.
    for (const char* key : {"tie_word_embeddings", "dtype", "torch_dtype", "bos_token_id", "eos_token_id"}) {
      if (config.contains(key) && !config[key].is_null()) cut[key] = config[key];
    }
    cut["architectures"] = {family->text_architecture};
    cut["model_type"] = family->text_type;
  }
  cut["num_hidden_layers"] = blocks;
  if (cut.contains("layer_types") && cut["layer_types"].is_array()) {
    auto& types = cut["layer_types"].get_ref<json::array_t&>();
    if (static_cast<int64_t>(types.size()) > blocks) types.resize(blocks);
  }
  return cut;
}

}  // namespace nla
