// What commands that run a model share: turning the common options into a compute dtype and thread count.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "cli/command.h"
#include "model/packed/format.h"

namespace nla::cli {

// Sets the thread count, checks --device, and returns the compute dtype.
at::ScalarType SetUpCompute(const CommonOptions& common);

// --quant of a command that lets a model write.
Option AddQuantOption(Command command, std::string& quant);
// How that model's weights are packed: 8 bits for q8, else in the compute dtype.
packed::Format PackingOf(const std::string& quant, at::ScalarType compute);

}  // namespace nla::cli
