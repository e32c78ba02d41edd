// The table of element types and the arithmetic of shapes. Reading and writing files is safetensors' and gguf's.
#include "weights/tensor_view.h"

#include <array>

#include "base/fail.h"

namespace nla {
namespace {

struct DTypeFacts {
  DType dtype;
  std::string_view name;
  size_t size;
};
constexpr std::array<DTypeFacts, 10> kDTypes = {{
    {DType::kF64, "F64", 8},
    {DType::kF32, "F32", 4},
    {DType::kF16, "F16", 2},
    {DType::kBF16, "BF16", 2},
    {DType::kI64, "I64", 8},
    {DType::kI32, "I32", 4},
    {DType::kI16, "I16", 2},
    {DType::kI8, "I8", 1},
    {DType::kU8, "U8", 1},
    {DType::kBool, "BOOL", 1},
}};

const DTypeFacts& FactsOf(DType dtype) {
  const DTypeFacts& facts = kDTypes.at(static_cast<size_t>(dtype));
  NLA_CHECK(facts.dtype == dtype);
  return facts;
}

}  // namespace

size_t SizeOf(DType dtype) { return FactsOf(dtype).size; }

std::string_view Name(DType dtype) { return FactsOf(dtype).name; }

DType ParseDType(std::string_view name, const std::string& where) {
  std::string known;
  for (const DTypeFacts& facts : kDTypes) {
    if (facts.name == name) return facts.dtype;
    known += (known.empty() ? "" : ", ") + std::string(facts.name);
  }
  Fail({.where = where, .what = "unsupported element type", .found = std::string(name), .wanted = known, .mend = ""});
}

std::optional<uint64_t> CheckedProduct(std::span<const int64_t> shape, uint64_t scale) {
  uint64_t product = scale;
  bool overflow = false;
  for (const int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    if (extent == 0) return 0;
    overflow |= __builtin_mul_overflow(product, static_cast<uint64_t>(extent), &product);
  }
  if (overflow || product > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
  return product;
}

int64_t TensorView::numel() const {
  const std::optional<uint64_t> count = CheckedProduct(shape);
  NLA_CHECK(count.has_value());
  return static_cast<int64_t>(*count);
}

}  // namespace nla
