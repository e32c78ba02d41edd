// PEFT layout of adapters on disk. Laying them over a decoder is decoder_weights.cc's.
#include "model/lora.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/fail.h"
#include "base/file.h"
#include "model/tensor_io.h"

namespace nla {
namespace {

using nlohmann::json;

constexpr const char* kConfigName = "adapter_config.json";
constexpr const char* kWeightsName = "adapter_model.safetensors";
constexpr int64_t kMostBlocks = 100'000;

// "self_attn.q_proj" -> "q_proj", which is how target_modules names it.
std::string_view LeafName(int linear) {
  const std::string_view name = LinearNames()[linear];
  return name.substr(name.find('.') + 1);
}

bool Consume(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool ConsumeEnd(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

struct FactorName {
  int64_t block = 0;
  int linear = 0;
  bool is_a = false;
};

// "base_model.model.model.layers.N.<linear>.lora_A[.default].weight"; nullopt for any other name.
std::optional<FactorName> ParseFactorName(const std::string& name) {
  std::string_view rest = name;
  Consume(rest, "base_model.model.");
  Consume(rest, "language_model.");  // Gemma-3's wrappers: "language_model.model.…" or "model.language_model.…"
  Consume(rest, "model.");
  Consume(rest, "language_model.");
  FactorName factor;
  if (!ConsumeEnd(rest, ".weight")) return std::nullopt;
  ConsumeEnd(rest, ".default");
  if (ConsumeEnd(rest, ".lora_A")) {
    factor.is_a = true;
  } else if (!ConsumeEnd(rest, ".lora_B")) {
    return std::nullopt;
  }
  if (!Consume(rest, "layers.")) return std::nullopt;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), factor.block);
  if (error != std::errc() || factor.block < 0 || factor.block >= kMostBlocks) return std::nullopt;
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  const auto& linears = LinearNames();
  const auto found =
      std::find_if(linears.begin(), linears.end(), [&](const std::string& linear) { return rest == "." + linear; });
  if (found == linears.end()) return std::nullopt;
  factor.linear = static_cast<int>(found - linears.begin());
  return factor;
}

// Whether a list of target_modules names the linear: by its last name, or by the end of its path. A text (a pattern)
// cannot be checked here.
bool IsTarget(const json& targets, int linear) {
  if (!targets.is_array()) return false;
  return std::any_of(targets.begin(), targets.end(), [&](const json& target) {
    return target.is_string() && (target == LeafName(linear) || target == LinearNames()[linear]);
  });
}

json ReadConfig(const std::filesystem::path& path) {
  json config = json::parse(ReadFile(path), nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) Fail({.where = path.string(), .what = "not a JSON object"});
  return config;
}

void RefuseIfSet(const json& config, const std::string& key, const json& wanted, const std::string& where) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null() || *found == wanted) return;
  Fail({.where = where, .what = key + " is not supported", .found = found->dump(), .wanted = wanted.dump()});
}

}  // namespace

std::string AdapterTensorName(int64_t block, int linear, bool is_a) {
  return fmt::format("base_model.model.model.layers.{}.{}.lora_{}.weight", block, LinearNames()[linear],
                     is_a ? "A" : "B");
}

void WriteAdapters(const std::filesystem::path& directory, const LoraSpec& lora, const std::string& base_model,
                   const std::vector<NamedTensor>& tensors, at::ScalarType store) {
  json targets = json::array();
  for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
    const auto adapts = [&](const NamedTensor& tensor) {
      const std::optional<FactorName> name = ParseFactorName(tensor.name);
      return name && name->linear == linear;
    };
    if (std::any_of(tensors.begin(), tensors.end(), adapts)) targets.push_back(LeafName(linear));
  }
  const json config = {{"peft_type", "LORA"},      {"task_type", "CAUSAL_LM"}, {"base_model_name_or_path", base_model},
                       {"r", lora.rank},           {"lora_alpha", lora.alpha}, {"lora_dropout", 0.0},
                       {"bias", "none"},           {"fan_in_fan_out", false},  {"init_lora_weights", true},
                       {"inference_mode", true},   {"use_rslora", false},      {"use_dora", false},
                       {"target_modules", targets}};
  WriteTensors(directory / kWeightsName, tensors, store);
  WriteFileAtomically(directory / kConfigName, config.dump(2) + "\n");
}

bool HasAdapters(const std::filesystem::path& directory) { return std::filesystem::exists(directory / kConfigName); }

LoraSpec ReadLoraSpec(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kConfigName;
  const json config = ReadConfig(path);
  RefuseIfSet(config, "peft_type", "LORA", path.string());
  RefuseIfSet(config, "use_rslora", false, path.string());
  RefuseIfSet(config, "use_dora", false, path.string());
  RefuseIfSet(config, "bias", "none", path.string());
  RefuseIfSet(config, "fan_in_fan_out", false, path.string());
  RefuseIfSet(config, "rank_pattern", json::object(), path.string());
  RefuseIfSet(config, "alpha_pattern", json::object(), path.string());
  for (const char* flag : {"lora_bias", "use_qalora"}) RefuseIfSet(config, flag, false, path.string());
  // Parts of the model that would be trained beside the linears' factors, or linears counted otherwise.
  for (const char* part : {"modules_to_save", "trainable_token_indices", "target_parameters", "layers_to_transform",
                           "layer_replication", "alora_invocation_tokens"}) {
    RefuseIfSet(config, part, json::array(), path.string());
  }
  const json rank = config.value("r", json());
  const json alpha = config.value("lora_alpha", json());
  if (!rank.is_number_integer() || rank.get<int64_t>() <= 0 || rank.get<int64_t>() > 65536) {
    Fail({.where = path.string(), .what = "r", .found = rank.dump(), .wanted = "a positive whole number"});
  }
  if (!alpha.is_number() || !(alpha.get<double>() > 0)) {
    Fail({.where = path.string(), .what = "lora_alpha", .found = alpha.dump(), .wanted = "a positive number"});
  }
  return {rank.get<int64_t>(), alpha.get<double>()};
}

AdapterFile AdapterFile::Open(const std::filesystem::path& directory) {
  const LoraSpec spec = ReadLoraSpec(directory);  // the config's problems first
  AdapterFile adapters(spec, SafetensorsFile::Open(directory / kWeightsName));
  const std::string where = adapters.path().string();
  for (const TensorView& view : adapters.file_.tensors()) {
    const std::optional<FactorName> name = ParseFactorName(view.name);
    if (!name) {
      Fail({.where = where,
            .what = fmt::format("tensor {} is not an adapter of a block's linear", view.name),
            .wanted = AdapterTensorName(0, 0, true) + " and its like",
            .mend = "Adapters elsewhere are not supported; left out, they would change the model silently"});
    }
    Factors& factors = adapters.by_linear_[{name->block, name->linear}];
    const TensorView*& slot = name->is_a ? factors.a : factors.b;
    if (slot != nullptr) Fail({.where = where, .what = fmt::format("tensor {} is there twice", view.name)});
    slot = &view;
    adapters.adapted_[name->linear] = true;
  }
  if (adapters.by_linear_.empty()) Fail({.where = where, .what = "holds no adapters"});
  const json targets = ReadConfig(directory / kConfigName).value("target_modules", json());
  for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
    if (adapters.adapted_[linear] || !IsTarget(targets, linear)) continue;
    Fail({.where = where,
          .what = fmt::format("no adapters of {}, which target_modules of {} names", LeafName(linear), kConfigName),
          .mend = "The file is not whole: fetch or write it again"});
  }
  return adapters;
}

const AdapterFile::Factors& AdapterFile::At(int64_t block, int linear) const {
  const auto found = by_linear_.find({block, linear});
  for (const bool is_a : {true, false}) {
    const bool there = found != by_linear_.end() && (is_a ? found->second.a : found->second.b) != nullptr;
    if (there) continue;
    Fail({.where = path().string(),
          .what = fmt::format("tensor {} is missing", AdapterTensorName(block, linear, is_a)),
          .mend = "A linear with adapters must have both factors in every block; lost ones would change the model "
                  "silently"});
  }
  return found->second;
}

}  // namespace nla
