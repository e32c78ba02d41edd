// The table of model families: one function each that turns a config.json into a ModelSpec.
#include <fmt/format.h>

#include <functional>

#include "base/fail.h"
#include "model/spec.h"

namespace nla {
namespace {

using nlohmann::json;

int64_t Count(const json& config, const std::string& key, const std::string& where) {
  const auto found = config.find(key);
  if (found == config.end())
    Fail({.where = where, .what = fmt::format("{} is missing", key), .wanted = "a positive whole number"});
  if (!found->is_number_integer() || found->get<int64_t>() <= 0 || found->get<int64_t>() > (int64_t{1} << 40)) {
    Fail({.where = where, .what = key, .found = found->dump(), .wanted = "a positive whole number"});
  }
  return found->get<int64_t>();
}

double Positive(const json& value, const std::string& key, const std::string& where) {
  if (!value.is_number() || !(value.get<double>() > 0))
    Fail({.where = where, .what = key, .found = value.dump(), .wanted = "a positive number"});
  return value.get<double>();
}

// Settings that change the arithmetic and that the decoder does not have: refused, so that no one reads wrong numbers.
void RefuseUnlessAbsentOr(const json& config, const std::string& key, const json& harmless, const std::string& where) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null() || *found == harmless) return;
  Fail({.where = where,
        .what = fmt::format("{} is not supported for this family", key),
        .found = found->dump(),
        .wanted = harmless.dump()});
}

// transformers 4 writes rope_theta at the top, transformers 5 inside rope_parameters.
double RopeTheta(const json& config, const std::string& where) {
  for (const char* holder : {"rope_parameters", "rope_scaling"}) {
    const auto found = config.find(holder);
    if (found == config.end() || found->is_null()) continue;
    for (const char* key : {"rope_type", "type"}) {
      if (found->contains(key) && (*found)[key] != "default") {
        Fail({.where = where,
              .what = fmt::format("{}.{} is not supported", holder, key),
              .found = (*found)[key].dump(),
              .wanted = "\"default\""});
      }
    }
    if (found->contains("rope_theta")) return Positive((*found)["rope_theta"], "rope_theta", where);
  }
  return Positive(config.value("rope_theta", json(10000.0)), "rope_theta", where);
}

ModelSpec ParseLlama(const json& config, const std::string& where) {
  ModelSpec spec;
  spec.vocab_size = Count(config, "vocab_size", where);
  spec.d_model = Count(config, "hidden_size", where);
  spec.n_blocks = Count(config, "num_hidden_layers", where);
  spec.n_heads = Count(config, "num_attention_heads", where);
  spec.n_kv_heads = config.contains("num_key_value_heads") ? Count(config, "num_key_value_heads", where) : spec.n_heads;
  const bool has_head_dim = config.contains("head_dim") && !config["head_dim"].is_null();
  spec.d_head = has_head_dim ? Count(config, "head_dim", where) : spec.d_model / spec.n_heads;
  spec.d_ff = Count(config, "intermediate_size", where);
  spec.max_positions =
      config.contains("max_position_embeddings") ? Count(config, "max_position_embeddings", where) : 2048;
  spec.norm_eps = Positive(config.value("rms_norm_eps", json(1e-6)), "rms_norm_eps", where);
  spec.rope_theta = RopeTheta(config, where);
  spec.tied_head = config.value("tie_word_embeddings", false);
  RefuseUnlessAbsentOr(config, "attention_bias", false, where);
  RefuseUnlessAbsentOr(config, "mlp_bias", false, where);
  RefuseUnlessAbsentOr(config, "hidden_act", "silu", where);
  if (spec.n_heads % spec.n_kv_heads != 0) {
    Fail({.where = where,
          .what = "num_key_value_heads",
          .found = std::to_string(spec.n_kv_heads),
          .wanted = fmt::format("a divisor of num_attention_heads = {}", spec.n_heads)});
  }
  if (spec.d_head % 2 != 0)
    Fail({.where = where, .what = "head_dim", .found = std::to_string(spec.d_head), .wanted = "an even number"});
  return spec;
}

struct Family {
  const char* model_type;
  ModelSpec (*parse)(const json& config, const std::string& where);
};

constexpr Family kFamilies[] = {
    {"llama", ParseLlama},
};

}  // namespace

ModelSpec ParseModelSpec(const json& config, const std::string& where) {
  const std::string type = config.value("model_type", std::string());
  std::string known;
  for (const Family& family : kFamilies) {
    if (type == family.model_type) {
      ModelSpec spec = family.parse(config, where);
      spec.model_type = type;
      return spec;
    }
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  Fail({.where = where, .what = "model_type is not a known family", .found = type, .wanted = known});
}

}  // namespace nla
