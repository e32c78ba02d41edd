// How weights are kept that were rearranged for decoding.
#pragma once

#include <cstdint>

namespace nla::packed {

enum class Format {
  kFloat,  // fp32, as they are
  kInt8,   // 8 bits a weight and one scale an output; inputs of a linear are 16-bit integers with one scale a row
};

// Linears are cut into panels of so many outputs; the last one is filled up with zeros.
inline constexpr int64_t kPanelOutputs = 16;

}  // namespace nla::packed
