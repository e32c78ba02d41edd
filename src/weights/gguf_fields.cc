// Typed access to GGUF metadata. Which keys a family has is gguf_config.cc's.
#include "weights/gguf_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"

namespace nla {
namespace {

// For errors: short, whatever the value holds.
std::string Shown(const nlohmann::json& value) {
  return value.is_array() ? fmt::format("an array of {}", value.size()) : value.dump();
}

}  // namespace

std::string GgufFields::Where(const std::string& key) const {
  return fmt::format("{}: {}", file_.path().string(), key);
}

const nlohmann::json& GgufFields::Get(const std::string& key) const {
  const auto it = file_.metadata().find(key);
  if (it == file_.metadata().end()) Fail({.where = Where(key), .what = "metadata key is missing"});
  return *it;
}

std::string GgufFields::String(const std::string& key) const {
  const nlohmann::json& value = Get(key);
  if (!value.is_string()) Fail({.where = Where(key), .what = "not a string", .found = Shown(value)});
  return value.get<std::string>();
}

int64_t GgufFields::Int(const std::string& key, int64_t least) const {
  const nlohmann::json& value = Get(key);
  const bool fits = value.is_number_integer() &&
                    !(value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT32_MAX));
  if (fits && value.get<int64_t>() >= least && value.get<int64_t>() <= INT32_MAX) return value.get<int64_t>();
  Fail({.where = Where(key),
        .what = "value out of range",
        .found = Shown(value),
        .wanted = fmt::format("a whole number from {} to {}", least, INT32_MAX)});
}

std::optional<int64_t> GgufFields::OptionalInt(const std::string& key, int64_t least) const {
  return Has(key) ? std::optional(Int(key, least)) : std::nullopt;
}

double GgufFields::PositiveFloat(const std::string& key) const {
  const nlohmann::json& value = Get(key);
  if (value.is_number_float() && std::isfinite(value.get<double>()) && value.get<double>() > 0) {
    return value.get<double>();
  }
  Fail({.where = Where(key), .what = "value out of range", .found = Shown(value), .wanted = "a number above 0"});
}

const nlohmann::json& GgufFields::Strings(const std::string& key) const {
  const nlohmann::json& value = Get(key);
  if (value.is_array() && std::ranges::all_of(value, [](const auto& v) { return v.is_string(); })) return value;
  Fail({.where = Where(key), .what = "not an array of strings", .found = Shown(value)});
}

const nlohmann::json& GgufFields::Ints(const std::string& key) const {
  const nlohmann::json& value = Get(key);
  if (value.is_array() && std::ranges::all_of(value, [](const auto& v) { return v.is_number_integer(); })) return value;
  Fail({.where = Where(key), .what = "not an array of whole numbers", .found = Shown(value)});
}

const nlohmann::json& GgufFields::Numbers(const std::string& key) const {
  const nlohmann::json& value = Get(key);
  if (value.is_array() && std::ranges::all_of(value, [](const auto& v) { return v.is_number(); })) return value;
  Fail({.where = Where(key), .what = "not an array of numbers", .found = Shown(value)});
}

bool GgufFields::BoolOr(const std::string& key, bool otherwise) const {
  if (!Has(key)) return otherwise;
  const nlohmann::json& value = Get(key);
  if (!value.is_boolean()) Fail({.where = Where(key), .what = "not a truth value", .found = Shown(value)});
  return value.get<bool>();
}

}  // namespace nla
