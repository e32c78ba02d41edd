// A named, typed, shaped run of bytes in someone else's memory: what weight files hand out. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nla {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

size_t SizeOf(DType dtype);
std::string_view Name(DType dtype);                        // safetensors spelling: "F32", "BF16" …
DType ParseDType(std::string_view name, const std::string& where);

struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;        // row-major
  std::span<const std::byte> bytes;  // borrowed; little-endian; exactly product(shape) * SizeOf(dtype)
  int64_t numel() const;
};

}  // namespace nla
