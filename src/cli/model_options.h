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
// How that model's weights are packed: 8 bits for q8; else as they are where the compute dtype is fp32. bf16 has no
// packed form and goes through torch.
std::optional<packed::Format> PackingOf(const std::string& quant, at::ScalarType compute);

}  // namespace nla::cli
