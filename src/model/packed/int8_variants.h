// Which variants of the 8-bit kernel this processor has.
#pragma once

#include <vector>

#include "model/packed/int8_kernels.h"

namespace nla::packed {

struct Int8Variant {
  const char* name = "";
  Int8Kernel run = nullptr;
};

// Fastest first; the last one is the portable one.
const std::vector<Int8Variant>& Int8Variants();

}  // namespace nla::packed
