// Typed reading of a config.json: numbers checked for what they must be, settings that the decoder lacks refused.
// What the keys mean is families.cc's.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "model/spec.h"

namespace nla {

// Borrows the JSON. A key that is null counts as absent except for HasNull.
class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& config, std::string where) : config_(config), where_(std::move(where)) {}

  bool Has(const std::string& key) const;
  bool HasNull(const std::string& key) const { return config_.contains(key) && config_[key].is_null(); }
  // A positive whole number; without a default the key must be there.
  int64_t Count(const std::string& key) const;
  int64_t CountOr(const std::string& key, int64_t absent) const;
  int64_t CountOrZeroOr(const std::string& key, int64_t absent) const;  // 0 is accepted too
  double PositiveOr(const std::string& key, double absent) const;
  double Positive(const std::string& key) const;
  bool FlagOr(const std::string& key, bool absent) const;
  std::string TextOr(const std::string& key, const std::string& absent) const;
  // An object inside this one, for errors named "where: key".
  std::optional<ConfigReader> Section(const std::string& key) const;

  // "sliding_attention" or "full_attention" for each block -> whether it slides; empty when the key is absent.
  std::vector<bool> SlidingLayers(int64_t blocks) const;
  // The rotary parameters of a model with one kind of block, as transformers 4 (rope_theta and rope_scaling) or 5
  // (rope_parameters) writes them.
  RopeSpec Rope() const;
  // The parameters in this object, whose theta may stand outside.
  RopeSpec RopeOf(double theta) const;

  // For settings that change the arithmetic: absent and `harmless` are accepted, anything else is refused.
  void RefuseUnless(const std::string& key, const nlohmann::json& harmless) const;
  [[noreturn]] void Reject(const std::string& key, const std::string& what, const std::string& wanted) const;

 private:
  const nlohmann::json& config_;
  std::string where_;
};

}  // namespace nla
