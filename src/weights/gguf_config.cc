// Reads the sizes of a model, turns them into config.json, and finds the file's tensors.
#include "weights/gguf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/fail.h"
#include "weights/gguf_fields.h"
#include "weights/gguf_rope.h"
#include "weights/gguf_vocabulary.h"

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

// What a file says about its model, seen through the prefix of its architecture.
struct Source {
  const GgufFile& file;
  const GgufFamily& family;
  GgufFields fields;

  std::string Key(std::string_view name) const { return fmt::format("{}.{}", family.architecture, name); }
  int64_t Int(std::string_view name, int64_t least) const { return fields.Int(Key(name), least); }
  std::optional<int64_t> OptionalInt(std::string_view name, int64_t least) const {
    return fields.OptionalInt(Key(name), least);
  }
};

ModelSizes ReadSizes(const Source& source) {
  ModelSizes sizes;
  sizes.blocks = source.Int("block_count", 1);
  sizes.hidden = source.Int("embedding_length", 1);
  sizes.inner = source.Int("feed_forward_length", 1);
  sizes.heads = source.Int("attention.head_count", 1);
  sizes.kv_heads = source.OptionalInt("attention.head_count_kv", 1).value_or(sizes.heads);
  sizes.head_width = source.OptionalInt("attention.key_length", 2).value_or(sizes.hidden / sizes.heads);
  sizes.vocabulary = static_cast<int64_t>(source.fields.Strings("tokenizer.ggml.tokens").size());
  if (sizes.heads % sizes.kv_heads != 0) {
    Fail({.where = source.fields.Where(source.Key("attention.head_count_kv")),
          .what = "does not divide the number of heads",
          .found = std::to_string(sizes.kv_heads),
          .wanted = fmt::format("a divisor of {}", sizes.heads)});
  }
  if (sizes.head_width < 2 || sizes.head_width % 2 != 0) {
    Fail({.where = source.fields.Where(source.Key("attention.head_count")),
          .what = "width of a head is not even",
          .found = std::to_string(sizes.head_width)});
  }
  if (static_cast<size_t>(sizes.blocks) > source.file.tensors().size()) {
    Fail({.where = source.fields.Where(source.Key("block_count")),
          .what = "more blocks than tensors",
          .found = std::to_string(sizes.blocks)});
  }
  return sizes;
}

// Keys that are read below or change nothing. Any other key of the architecture may change what the model computes.
constexpr std::array<std::string_view, 24> kKnownKeys = {
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "vocab_size",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "rope.scale_linear",
    "expert_count",
    "expert_used_count",
    "tensor_data_layout",
    "final_logit_softcapping",
};

void RefuseUnknownKeys(const Source& source) {
  const std::string prefix = source.Key("");
  for (const auto& [key, value] : source.file.metadata().items()) {
    if (!key.starts_with(prefix) || std::ranges::find(kKnownKeys, key.substr(prefix.size())) != kKnownKeys.end())
      continue;
    Fail({.where = source.fields.Where(key),
          .what = "unknown setting of the model",
          .found = value.is_array() ? fmt::format("an array of {}", value.size()) : value.dump(),
          .mend = "This variant of the architecture cannot be converted"});
  }
}

// What a file may ask for and config.json below does not say.
void RefuseUnsupported(const Source& source, const ModelSizes& sizes) {
  const auto require = [&](std::string_view name, int64_t wanted) {
    const int64_t found = source.OptionalInt(name, 0).value_or(wanted);
    if (found == wanted) return;
    Fail({.where = source.fields.Where(source.Key(name)),
          .what = "unsupported variant of the architecture",
          .found = std::to_string(found),
          .wanted = std::to_string(wanted)});
  };
  require("rope.dimension_count", sizes.head_width);
  require("attention.value_length", sizes.head_width);
  require("expert_count", 0);
  require("expert_used_count", 0);
  require("vocab_size", sizes.vocabulary);
  if (source.family.architecture == "gemma3") return;
  require("attention.sliding_window", 0);
  require("attention.sliding_window_pattern", 0);
  require("final_logit_softcapping", 0);
}

Json EndIdsJson(const GgufFile& file) {
  const std::vector<int64_t> ids = EndIds(file);
  if (ids.empty()) return nullptr;
  return ids.size() == 1 ? Json(ids.front()) : Json(ids);
}

// What all families' config.json have.
Json CommonConfig(const Source& source, const ModelSizes& sizes, bool tied) {
  Json config;
  config["architectures"] = Json::array({source.family.class_name});
  config["model_type"] = source.family.model_type;
  config["hidden_size"] = sizes.hidden;
  config["intermediate_size"] = sizes.inner;
  config["num_hidden_layers"] = sizes.blocks;
  config["num_attention_heads"] = sizes.heads;
  config["num_key_value_heads"] = sizes.kv_heads;
  config["head_dim"] = sizes.head_width;
  config["rms_norm_eps"] = source.fields.PositiveFloat(source.Key("attention.layer_norm_rms_epsilon"));
  const std::string base = source.Key("rope.freq_base");
  config["rope_theta"] = source.fields.Has(base) ? source.fields.PositiveFloat(base) : 10000.0;  // the format's default
  config["max_position_embeddings"] = source.Int("context_length", 1);
  const Json scaling = RopeScaling(source.file, source.family.architecture, config["rope_theta"], sizes.head_width);
  if (!scaling.is_null()) config["rope_scaling"] = scaling;
  config["vocab_size"] = sizes.vocabulary;
  config["tie_word_embeddings"] = tied;
  config["bos_token_id"] = OrNull(source.fields.OptionalInt("tokenizer.ggml.bos_token_id"));
  config["eos_token_id"] = EndIdsJson(source.file);
  config["pad_token_id"] = OrNull(source.fields.OptionalInt("tokenizer.ggml.padding_token_id"));
  return config;
}

void AddLlama(const Source&, const ModelSizes&, Json& config) {
  config["hidden_act"] = "silu";
  config["attention_bias"] = false;
  config["mlp_bias"] = false;
}

void AddQwen2(const Source&, const ModelSizes&, Json& config) {
  config["hidden_act"] = "silu";
  config["use_sliding_window"] = false;
}

void AddQwen3(const Source&, const ModelSizes&, Json& config) {
  config["hidden_act"] = "silu";
  config["attention_bias"] = false;
  config["use_sliding_window"] = false;
}

// Files say little of what Gemma 3 fixes: every sixth block is global, local blocks rotate with base 10000, and queries
// are scaled by the head's width, in the 27B by hidden / heads (known by its 62 blocks, as llama.cpp knows it).
void AddGemma3(const Source& source, const ModelSizes& sizes, Json& config) {
  constexpr int64_t kBlocksOf27B = 62;
  const int64_t pattern = source.OptionalInt("attention.sliding_window_pattern", 1).value_or(6);
  Json layer_types = Json::array();
  for (int64_t block = 0; block < sizes.blocks; ++block) {
    layer_types.push_back((block + 1) % pattern == 0 ? "full_attention" : "sliding_attention");
  }
  const std::string local = source.Key("rope.freq_base_swa");
  config["rope_local_base_freq"] = source.fields.Has(local) ? source.fields.PositiveFloat(local) : 10000.0;
  config["sliding_window"] = source.Int("attention.sliding_window", 1);
  config["sliding_window_pattern"] = pattern;
  config["layer_types"] = std::move(layer_types);
  config["query_pre_attn_scalar"] = sizes.blocks == kBlocksOf27B ? sizes.hidden / sizes.heads : sizes.head_width;
  config["hidden_activation"] = "gelu_pytorch_tanh";
  config["attention_bias"] = false;
  config["attn_logit_softcapping"] = nullptr;
  const std::string cap = source.Key("final_logit_softcapping");
  config["final_logit_softcapping"] = source.fields.Has(cap) ? Json(source.fields.PositiveFloat(cap)) : Json(nullptr);
}

struct ConfigMaker {
  std::string_view architecture;
  void (*add)(const Source& source, const ModelSizes& sizes, Json& config);
};
constexpr std::array<ConfigMaker, 4> kConfigMakers = {
    {{"llama", AddLlama}, {"qwen2", AddQwen2}, {"qwen3", AddQwen3}, {"gemma3", AddGemma3}}};

// Finds the tensors, checking shapes on the way and left-overs at the end.
std::vector<PlannedTensor> PlanTensors(const Source& source, const ModelSizes& sizes, bool tied) {
  const std::string path = source.file.path().string();
  std::vector<PlannedTensor> planned;
  std::set<std::string_view> used = {kRopeFactors};  // read by RopeScaling
  for (TensorPair& pair : TensorPairs(source.family, sizes, tied)) {
    const GgufTensor* tensor = source.file.Find(pair.gguf);
    if (tensor == nullptr) Fail({.where = path, .what = "tensor is missing", .found = pair.gguf});
    if (tensor->shape != pair.shape) {
      Fail({.where = fmt::format("{}: tensor {}", path, pair.gguf),
            .what = "shape",
            .found = ShapeText(tensor->shape),
            .wanted = ShapeText(pair.shape)});
    }
    used.insert(tensor->name);
    planned.push_back(
        {std::move(pair.checkpoint), tensor, PairedHeads(pair.twist, sizes), pair.twist == Twist::kOneAdded});
  }
  for (const GgufTensor& tensor : source.file.tensors()) {
    if (used.contains(tensor.name)) continue;
    Fail({.where = path,
          .what = "a tensor that this family does not have",
          .found = tensor.name,
          .mend = "This variant of the architecture cannot be converted"});
  }
  return planned;
}

const GgufFamily& FamilyOf(const GgufFile& file) {
  const GgufFields fields(file);
  const std::string key = "general.architecture";
  const std::string architecture = fields.String(key);
  std::string known;
  for (const GgufFamily& family : GgufFamilies()) {
    if (family.architecture == architecture) return family;
    known += (known.empty() ? "" : ", ") + std::string(family.architecture);
  }
  Fail({.where = fields.Where(key), .what = "unsupported architecture", .found = architecture, .wanted = known});
}

}  // namespace

ConversionPlan PlanConversion(const GgufFile& file, DType dtype) {
  const Source source{file, FamilyOf(file), GgufFields(file)};
  const ModelSizes sizes = ReadSizes(source);
  RefuseUnsupported(source, sizes);
  const bool tied = file.Find("output.weight") == nullptr;
  ConversionPlan plan;
  plan.tensors = PlanTensors(source, sizes, tied);
  plan.config = CommonConfig(source, sizes, tied);
  const auto maker = std::ranges::find(kConfigMakers, source.family.architecture, &ConfigMaker::architecture);
  NLA_CHECK(maker != kConfigMakers.end());
  maker->add(source, sizes, plan.config);
  RefuseUnknownKeys(source);
  plan.config["torch_dtype"] = TorchName(dtype);
  return plan;
}

std::vector<int64_t> EndIds(const GgufFile& file) {
  constexpr std::array<std::string_view, 4> kSpellings = {"<end_of_turn>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>"};
  const GgufFields fields(file);
  std::set<int64_t> others;
  for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (SpecialToken(fields, key)) others.insert(fields.Int(key));
  }
  const nlohmann::json& tokens = fields.Strings("tokenizer.ggml.tokens");
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto& token = tokens[id].get_ref<const std::string&>();
    if (std::ranges::find(kSpellings, token) != kSpellings.end()) others.insert(static_cast<int64_t>(id));
  }
  std::vector<int64_t> ids;
  if (const std::optional<int64_t> eos = fields.OptionalInt("tokenizer.ggml.eos_token_id")) {
    ids.push_back(*eos);
    others.erase(*eos);
  }
  ids.insert(ids.end(), others.begin(), others.end());
  return ids;
}

}  // namespace nla
