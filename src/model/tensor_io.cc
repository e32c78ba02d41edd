// Copies between TensorView and at::Tensor, and the run-time choice of the compute dtype.
#include "model/tensor_io.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/fail.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

DType DTypeOf(at::ScalarType scalar) {
  switch (scalar) {
    case at::kFloat:
      return DType::kF32;
    case at::kBFloat16:
      return DType::kBF16;
    case at::kHalf:
      return DType::kF16;
    default:
      NLA_CHECK(scalar == at::kDouble);
      return DType::kF64;
  }
}

}  // namespace

at::ScalarType ScalarOf(DType dtype, const std::string& where) {
  switch (dtype) {
    case DType::kF64:
      return at::kDouble;
    case DType::kF32:
      return at::kFloat;
    case DType::kF16:
      return at::kHalf;
    case DType::kBF16:
      return at::kBFloat16;
    default:
      Fail({.where = where, .what = "dtype", .found = std::string(Name(dtype)), .wanted = "a floating-point type"});
  }
}

const TensorView& FindTensor(const Checkpoint& checkpoint, const ModelSpec& spec, const std::string& name) {
  for (const std::string& candidate : NamesInCheckpoint(spec, name)) {
    if (const TensorView* view = checkpoint.Find(candidate)) return *view;
  }
  Fail({.where = checkpoint.directory().string(),
        .what = fmt::format("tensor {} is missing", NamesInCheckpoint(spec, name).front())});
}

at::Tensor ToTensor(const TensorView& view, const std::vector<int64_t>& shape, at::ScalarType dtype,
                    const std::string& where) {
  const std::string place = fmt::format("{}: {}", where, view.name);
  if (view.shape != shape) {
    Fail({.where = place,
          .what = "shape",
          .found = fmt::format("[{}]", fmt::join(view.shape, ", ")),
          .wanted = fmt::format("[{}]", fmt::join(shape, ", "))});
  }
  const at::ScalarType stored = ScalarOf(view.dtype, place);
  // from_blob takes a mutable pointer; the tensor is only read before it goes away.
  const at::Tensor borrowed =
      at::from_blob(const_cast<std::byte*>(view.bytes.data()), shape, at::TensorOptions(stored));
  at::Tensor owned = at::empty(shape, at::TensorOptions(dtype));
  owned.copy_(borrowed);
  return owned;
}

void WriteTensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors, at::ScalarType store) {
  std::vector<at::Tensor> owned;
  std::vector<TensorView> views;
  for (const NamedTensor& named : tensors) {
    owned.push_back(named.tensor.detach().to(store).contiguous());
    views.push_back({named.name,
                     DTypeOf(store),
                     owned.back().sizes().vec(),
                     {static_cast<const std::byte*>(owned.back().const_data_ptr()), owned.back().nbytes()}});
  }
  WriteSafetensors(path, views, {{"format", "pt"}});
}

at::ScalarType ChooseDType(const std::string& name) {
  if (name == "fp32") return at::kFloat;
  if (name == "bf16") return at::kBFloat16;
  if (name != "auto") {
    FailUsage({.where = "--dtype", .what = "unknown compute dtype", .found = name, .wanted = "auto, fp32 or bf16"});
  }
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") ? at::kBFloat16 : at::kFloat;
#else
  return at::kFloat;
#endif
}

}  // namespace nla
