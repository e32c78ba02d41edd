// Which variants of the kernels this processor has.
#pragma once

#include <vector>

#include "model/packed/float_kernels.h"
#include "model/packed/int8_kernels.h"

namespace nla::packed {

struct Int8Variant {
  const char* name = "";
  Int8Kernel run = nullptr;
};

struct FloatVariant {
  const char* name = "";
  FloatKernel floats = nullptr;  // fp32 weights
  FloatKernel halves = nullptr;  // bf16 weights
};

// Fastest first; the last one is the one that every processor has.
const std::vector<Int8Variant>& Int8Variants();
const std::vector<FloatVariant>& FloatVariants();

}  // namespace nla::packed
