// libtorch's own writer; its headers are heavy, so it has a file to itself.
#include <ATen/ops/from_blob.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include "base/fail.h"
#include "client/generation_wire.h"

namespace nla {

std::string TorchSaved(std::span<const float> values, int64_t width) {
  const auto count = static_cast<int64_t>(values.size());
  NLA_CHECK(width > 0 && count % width == 0);
  const at::Tensor rows_TD = at::from_blob(const_cast<float*>(values.data()), {count / width, width}, at::kFloat);
  const std::vector<char> bytes = torch::jit::pickle_save(rows_TD);
  return {bytes.begin(), bytes.end()};
}

}  // namespace nla
