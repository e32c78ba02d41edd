// What commands that run a model share: turning the common options into a compute dtype and thread count.
#pragma once

#include <ATen/core/Tensor.h>

#include "cli/command.h"

namespace nla::cli {

// Sets the thread count, checks --device, and returns the compute dtype.
at::ScalarType SetUpCompute(const CommonOptions& common);

}  // namespace nla::cli
