// How weights are kept that were rearranged for decoding.
#pragma once

#include <cstdint>

namespace nla::packed {

enum class Format {
  kFloat,     // exactly as they are: bf16 where all of a linear's fit, else fp32; inputs of a linear are fp32
  kBFloat16,  // bf16, rounded where they are not; inputs are fp32
  kInt8,      // 8 bits a weight and one scale an output; inputs are 16-bit integers with one scale a row
};

// Linears are cut into panels of so many outputs; the last one is filled up with zeros.
inline constexpr int64_t kPanelOutputs = 16;

}  // namespace nla::packed
