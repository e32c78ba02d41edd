// A named, typed, shaped run of bytes in someone else's memory: what weight files hand out. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nla {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

size_t SizeOf(DType dtype);
std::string_view Name(DType dtype);  // safetensors spelling: "F32", "BF16" …
DType ParseDType(std::string_view name, const std::string& where);

// Product of the extents times `scale`; nullopt where an extent is negative or the product does not fit in int64.
std::optional<uint64_t> CheckedProduct(std::span<const int64_t> shape, uint64_t scale = 1);

struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;        // row-major
  std::span<const std::byte> bytes;  // borrowed, little-endian, exactly numel() * SizeOf(dtype); alignment not promised
  int64_t numel() const;
};

}  // namespace nla
