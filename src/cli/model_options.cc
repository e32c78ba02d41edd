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

}  // namespace nla::cli
