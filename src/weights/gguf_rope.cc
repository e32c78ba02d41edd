// Rope scaling out of metadata and the tensor of factors. Applying it is the model layer's.
#include "weights/gguf_rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/fail.h"
#include "weights/gguf_fields.h"

namespace nla {
namespace {

using Json = nlohmann::ordered_json;

// By metadata: none, linear or yarn.
Json FromMetadata(const GgufFields& fields, const std::string& prefix) {
  const std::string type_key = prefix + "type";
  const std::string type = fields.Has(type_key) ? fields.String(type_key) : "none";
  if (type == "none") return nullptr;
  if (type != "linear" && type != "yarn") {
    Fail({.where = fields.Where(type_key), .what = "unsupported", .found = type, .wanted = "none, linear or yarn"});
  }
  Json scaling = {{"rope_type", type}, {"factor", fields.PositiveFloat(prefix + "factor")}};
  if (type == "yarn") scaling["original_max_position_embeddings"] = fields.Int(prefix + "original_context_length", 1);
  return scaling;
}

// Llama 3's parameters from its factors. The factors alone do not tell them all: the published models' are tried, with
// the stretch that the longest wavelength shows.
Json FromFactors(const GgufTensor& tensor, const std::string& where, double base, int64_t head_width) {
  const std::vector<float> factors = Dequantize(tensor);
  if (static_cast<int64_t>(factors.size()) != head_width / 2 || tensor.shape.size() != 1) {
    Fail({.where = where,
          .what = "number of factors",
          .found = std::to_string(factors.size()),
          .wanted = std::to_string(head_width / 2)});
  }
  const Llama3Scaling scaling{.factor = factors.back()};
  const std::vector<float> wanted = Llama3Factors(scaling, base, head_width);
  for (size_t i = 0; i < factors.size(); ++i) {
    if (std::abs(factors[i] - wanted[i]) <= 1e-4f * wanted[i]) continue;  // false for NaN
    Fail({.where = where,
          .what = fmt::format("factor {} is not of Llama 3's rope scaling", i),
          .found = fmt::format("{}", factors[i]),
          .wanted = fmt::format("{}", wanted[i])});
  }
  return {{"rope_type", "llama3"},
          {"factor", scaling.factor},
          {"low_freq_factor", scaling.low_freq_factor},
          {"high_freq_factor", scaling.high_freq_factor},
          {"original_max_position_embeddings", scaling.original_positions}};
}

}  // namespace

nlohmann::ordered_json RopeScaling(const GgufFile& file, std::string_view architecture, double base,
                                   int64_t head_width) {
  const GgufFields fields(file);
  const std::string old_key = fmt::format("{}.rope.scale_linear", architecture);
  if (fields.Has(old_key)) {
    Fail({.where = fields.Where(old_key), .what = "an old way to scale", .mend = "Convert from a newer GGUF file"});
  }
  const Json scaling = FromMetadata(fields, fmt::format("{}.rope.scaling.", architecture));
  const GgufTensor* factors = file.Find(kRopeFactors);
  if (factors == nullptr) return scaling;
  const std::string where = fmt::format("{}: tensor {}", file.path().string(), kRopeFactors);
  if (!scaling.is_null()) Fail({.where = where, .what = "factors beside another scaling", .found = scaling.dump()});
  return FromFactors(*factors, where, base, head_width);
}

std::vector<float> Llama3Factors(const Llama3Scaling& scaling, double base, int64_t head_width) {
  const auto positions = static_cast<double>(scaling.original_positions);
  std::vector<float> factors;
  for (int64_t i = 0; i < head_width / 2; ++i) {
    const double frequency = std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(head_width));
    const double wavelength = 2 * std::numbers::pi / frequency;
    // 0 from the wavelength at which all is stretched, 1 up to that at which nothing is.
    const double kept = std::clamp(
        (positions / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor), 0.0,
        1.0);
    factors.push_back(static_cast<float>(1 / ((1 - kept) / scaling.factor + kept)));
  }
  return factors;
}

}  // namespace nla
