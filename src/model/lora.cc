// PEFT layout of adapters on disk.
#include "model/lora.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "base/file.h"
#include "model/tensor_io.h"

namespace nla {
namespace {

using nlohmann::json;

constexpr const char* kConfigName = "adapter_config.json";

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
  for (const std::string& name : LinearNames()) targets.push_back(name.substr(name.find('.') + 1));
  const json config = {{"peft_type", "LORA"},      {"task_type", "CAUSAL_LM"}, {"base_model_name_or_path", base_model},
                       {"r", lora.rank},           {"lora_alpha", lora.alpha}, {"lora_dropout", 0.0},
                       {"bias", "none"},           {"fan_in_fan_out", false},  {"init_lora_weights", true},
                       {"inference_mode", true},   {"use_rslora", false},      {"use_dora", false},
                       {"target_modules", targets}};
  WriteTensors(directory / "adapter_model.safetensors", tensors, store);
  WriteFileAtomically(directory / kConfigName, config.dump(2) + "\n");
}

bool HasAdapters(const std::filesystem::path& directory) { return std::filesystem::exists(directory / kConfigName); }

LoraSpec ReadLoraSpec(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kConfigName;
  const json config = json::parse(ReadFile(path), nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) Fail({.where = path.string(), .what = "not a JSON object"});
  RefuseIfSet(config, "peft_type", "LORA", path.string());
  RefuseIfSet(config, "use_rslora", false, path.string());
  RefuseIfSet(config, "use_dora", false, path.string());
  RefuseIfSet(config, "bias", "none", path.string());
  RefuseIfSet(config, "fan_in_fan_out", false, path.string());
  RefuseIfSet(config, "rank_pattern", json::object(), path.string());
  RefuseIfSet(config, "alpha_pattern", json::object(), path.string());
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

}  // namespace nla
