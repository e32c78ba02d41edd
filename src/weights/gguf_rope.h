// Scaled rotary embeddings: what a GGUF file says of them as config.json's rope_scaling, and back.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "weights/gguf.h"

namespace nla {

// The tensor by which Llama 3's scaling travels: one divisor a frequency.
inline constexpr std::string_view kRopeFactors = "rope_freqs.weight";

// null where nothing is scaled; rope_type "linear", "yarn" or "llama3". Another kind is an error.
nlohmann::ordered_json RopeScaling(const GgufFile& file, std::string_view architecture, double base,
                                   int64_t head_width);

// Llama 3's rule. Long wavelengths are stretched by `factor`, short ones are not, those between in part.
struct Llama3Scaling {
  double factor = 8, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_positions = 8192;
};
std::vector<float> Llama3Factors(const Llama3Scaling& scaling, double base, int64_t head_width);

}  // namespace nla
