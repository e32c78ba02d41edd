// Golden files of the model tests.
#include "model/model_testing.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_vector_norm.h>

#include "base/fail.h"

namespace nla::testing {

std::filesystem::path TinyLlama(const std::string& variant) {
  return std::filesystem::path(NLA_SOURCE_DIR) / "tests/model/golden" / variant;
}

at::Tensor Golden(const SafetensorsFile& file, const std::string& name) {
  const TensorView* view = file.Find(name);
  if (view == nullptr) Fail({.where = file.path().string(), .what = "golden lacks " + name});
  const bool is_float = view->dtype == DType::kF32;
  NLA_CHECK(is_float || view->dtype == DType::kI32);
  const at::Tensor borrowed = at::from_blob(const_cast<std::byte*>(view->bytes.data()), view->shape,
                                            at::TensorOptions(is_float ? at::kFloat : at::kInt));
  return is_float ? borrowed.clone() : borrowed.to(at::kLong);
}

std::vector<TokenId> GoldenIds(const SafetensorsFile& file, const std::string& name) {
  const at::Tensor ids = Golden(file, name);
  const auto* data = ids.const_data_ptr<int64_t>();
  return {data, data + ids.numel()};
}

double RelativeError(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wanted = b.detach().to(at::kDouble);
  const at::Tensor difference = a.detach().to(at::kDouble).sub(wanted);
  return at::linalg_vector_norm(difference).item<double>() / at::linalg_vector_norm(wanted).item<double>();
}

}  // namespace nla::testing
