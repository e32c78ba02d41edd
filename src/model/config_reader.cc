// Reading of config.json values, and of the two ways in which rotary parameters are written.
#include "model/config_reader.h"

#include <fmt/format.h>

#include "base/fail.h"

namespace nla {
namespace {

constexpr int64_t kLargestCount = int64_t{1} << 40;

}  // namespace

bool ConfigReader::Has(const std::string& key) const {
  const auto found = config_.find(key);
  return found != config_.end() && !found->is_null();
}

void ConfigReader::Reject(const std::string& key, const std::string& what, const std::string& wanted) const {
  Fail({.where = where_,
        .what = what.empty() ? key : fmt::format("{} {}", key, what),
        .found = config_.contains(key) ? config_[key].dump() : "",
        .wanted = wanted});
}

int64_t ConfigReader::Count(const std::string& key) const {
  if (!Has(key)) Reject(key, "is missing", "a positive whole number");
  const nlohmann::json& value = config_[key];
  if (!value.is_number_integer() || value.get<int64_t>() <= 0 || value.get<int64_t>() > kLargestCount) {
    Reject(key, "", "a positive whole number");
  }
  return value.get<int64_t>();
}

int64_t ConfigReader::CountOr(const std::string& key, int64_t absent) const { return Has(key) ? Count(key) : absent; }

int64_t ConfigReader::CountOrZeroOr(const std::string& key, int64_t absent) const {
  return Has(key) && config_[key] == 0 ? 0 : CountOr(key, absent);
}

double ConfigReader::Positive(const std::string& key) const {
  if (!Has(key)) Reject(key, "is missing", "a positive number");
  const nlohmann::json& value = config_[key];
  if (!value.is_number() || !(value.get<double>() > 0)) Reject(key, "", "a positive number");
  return value.get<double>();
}

double ConfigReader::PositiveOr(const std::string& key, double absent) const {
  return Has(key) ? Positive(key) : absent;
}

bool ConfigReader::FlagOr(const std::string& key, bool absent) const {
  if (!Has(key)) return absent;
  if (!config_[key].is_boolean()) Reject(key, "", "true or false");
  return config_[key].get<bool>();
}

std::string ConfigReader::TextOr(const std::string& key, const std::string& absent) const {
  if (!Has(key)) return absent;
  if (!config_[key].is_string()) Reject(key, "", "a string");
  return config_[key].get<std::string>();
}

std::optional<ConfigReader> ConfigReader::Section(const std::string& key) const {
  if (!Has(key)) return std::nullopt;
  if (!config_[key].is_object()) Reject(key, "", "an object");
  return ConfigReader(config_[key], fmt::format("{}: {}", where_, key));
}

std::vector<bool> ConfigReader::SlidingLayers(int64_t blocks) const {
  if (!Has("layer_types")) return {};
  const nlohmann::json& types = config_["layer_types"];
  if (!types.is_array() || static_cast<int64_t>(types.size()) != blocks) {
    Reject("layer_types", "", fmt::format("one of num_hidden_layers = {} strings for each block", blocks));
  }
  std::vector<bool> sliding;
  for (const nlohmann::json& type : types) {
    if (type != "sliding_attention" && type != "full_attention") {
      Reject("layer_types", "holds a kind that is not supported", "\"full_attention\" and \"sliding_attention\"");
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

RopeSpec ConfigReader::Rope() const {
  const double theta = PositiveOr("rope_theta", 10000);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (const std::optional<ConfigReader> section = Section(key)) return section->RopeOf(theta);
  }
  return {.theta = theta, .factor = 1, .bands = {}};
}

RopeSpec ConfigReader::RopeOf(double theta) const {
  RopeSpec rope{.theta = PositiveOr("rope_theta", theta), .factor = 1, .bands = {}};
  for (const char* layers : {"full_attention", "sliding_attention"}) {
    if (Has(layers)) Reject(layers, "has rotary parameters of its own, which is not supported for this family", "");
  }
  RefuseUnless("partial_rotary_factor", 1.0);
  const std::string key = Has("rope_type") ? "rope_type" : "type";
  const std::string type = TextOr(key, "default");
  if (type == "default") return rope;
  if (type != "linear" && type != "llama3") Reject(key, "is not supported", "default, linear or llama3");
  rope.factor = Positive("factor");
  if (type == "linear") return rope;
  rope.bands = {.low = Positive("low_freq_factor"),
                .high = Positive("high_freq_factor"),
                .positions = Count("original_max_position_embeddings")};
  if (rope.bands->low >= rope.bands->high) {
    Reject("low_freq_factor", "", fmt::format("less than high_freq_factor = {}", rope.bands->high));
  }
  return rope;
}

void ConfigReader::RefuseUnless(const std::string& key, const nlohmann::json& harmless) const {
  if (!Has(key) || config_[key] == harmless) return;
  Reject(key, "is not supported for this family", harmless.is_null() ? "null" : harmless.dump());
}

}  // namespace nla
