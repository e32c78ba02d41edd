// Copies of host arrays as tensors.
#include "train/host_tensors.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "base/fail.h"

namespace nla {

at::Tensor IndexTensor(const std::vector<int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<int64_t>());
  return tensor;
}

at::Tensor RowsTensor(std::span<const std::span<const float>> rows) {
  NLA_CHECK(!rows.empty());
  const size_t width = rows[0].size();
  at::Tensor tensor = at::empty({static_cast<int64_t>(rows.size()), static_cast<int64_t>(width)}, at::kFloat);
  float* out = tensor.mutable_data_ptr<float>();
  for (const std::span<const float>& row : rows) {
    NLA_CHECK(row.size() == width);
    out = std::copy(row.begin(), row.end(), out);
  }
  return tensor;
}

}  // namespace nla
