// Threads, device and dtype of commands that run a model.
#include "cli/model_options.h"

#include <ATen/Parallel.h>

#include "base/fail.h"
#include "model/tensor_io.h"

namespace nla::cli {

at::ScalarType SetUpCompute(const CommonOptions& common) {
  if (common.device != "cpu") {
    FailUsage({.where = "--device", .what = "not available in this build", .found = common.device, .wanted = "cpu"});
  }
  if (common.threads > 0) at::set_num_threads(common.threads);
  return ChooseDType(common.dtype);
}

Option AddQuantOption(Command command, std::string& quant) {
  return command
      .AddOption("--quant", quant, "weights while it writes: none, or q8 (8 bits, faster and smaller, inexact)")
      .ShowDefault()
      .OneOf({"none", "q8"});
}

packed::Format PackingOf(const std::string& quant, at::ScalarType compute) {
  if (quant == "q8") return packed::Format::kInt8;
  return compute == at::kBFloat16 ? packed::Format::kBFloat16 : packed::Format::kFloat;
}

}  // namespace nla::cli
