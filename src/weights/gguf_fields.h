// Typed, checked reading of GGUF metadata: a missing key or a value out of range is an error that names file and key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "weights/gguf.h"

namespace nla {

class GgufFields {
 public:
  // Borrows the file.
  explicit GgufFields(const GgufFile& file) : file_(file) {}

  bool Has(const std::string& key) const { return file_.metadata().contains(key); }
  std::string String(const std::string& key) const;
  // A whole number from `least` to 2^31 - 1.
  int64_t Int(const std::string& key, int64_t least = 0) const;
  std::optional<int64_t> OptionalInt(const std::string& key, int64_t least = 0) const;
  // Finite and above zero.
  double PositiveFloat(const std::string& key) const;
  // An array of which every element is a string.
  const nlohmann::json& Strings(const std::string& key) const;
  // An array of which every element is a whole number.
  const nlohmann::json& Ints(const std::string& key) const;
  // An array of which every element is a number.
  const nlohmann::json& Numbers(const std::string& key) const;
  bool BoolOr(const std::string& key, bool otherwise) const;

  // "FILE: KEY", for errors.
  std::string Where(const std::string& key) const;

 private:
  const nlohmann::json& Get(const std::string& key) const;

  const GgufFile& file_;
};

}  // namespace nla
