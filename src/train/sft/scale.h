// Scales as recipes write them.
#pragma once

#include <string>

#include "nla/sidecar.h"

namespace nla {

// "sqrt_d_model", "none" (vectors stay as they are), or a number above 0; else a usage error that names `field`.
Scale ParseScale(const std::string& text, const std::string& field);

}  // namespace nla
