// Rounding, quantising and widening of rows. Reading GGUF's blocks is dequantize.cc's.
#include "weights/stored_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>

#include "base/fail.h"
#include "weights/float_bits.h"

namespace nla {
namespace {

constexpr size_t kBlock = 32;                    // values in a block of Q8_0
constexpr float kLargestBf16 = 0x1.fefffep127f;  // the largest floats that do not round to infinity
constexpr float kLargestHalf = 0x1.ffdffep15f;

// `largest` is what the type holds; NaN is over every limit.
void CheckRange(std::span<const float> values, float largest, std::string_view type, const std::string& where) {
  const auto bad = std::ranges::find_if(values, [&](float value) { return !(std::abs(value) <= largest); });
  if (bad == values.end()) return;
  Fail({.where = where,
        .what = fmt::format("a value that {} cannot hold", type),
        .found = fmt::format("{}", *bad),
        .wanted = "a finite number",
        .mend = std::isfinite(*bad) ? "Store a wider type" : "The file is damaged; fetch it again"});
}

template <typename Round>
void Append16(std::span<const float> values, Round round, std::vector<std::byte>& out) {
  const size_t begin = out.size();
  out.resize(begin + values.size() * sizeof(uint16_t));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits = round(values[i]);
    std::memcpy(out.data() + begin + i * sizeof(bits), &bits, sizeof(bits));
  }
}

// Half away from zero, as the gguf package rounds.
float RoundHalfAway(float value) {
  const float magnitude = std::abs(value);
  const float whole = std::floor(magnitude);
  return std::copysign(whole + std::floor(2 * (magnitude - whole)), value);
}

// Scale (half), then 32 signed bytes: value / scale, where the largest magnitude is 127 scales.
void AppendBlockQ8(std::span<const float> values, std::vector<std::byte>& out) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  const float scale = largest / 127.0f;
  const float inverse = scale == 0 ? 0 : 1 / scale;
  const uint16_t half = HalfFromFloat(scale);
  const size_t begin = out.size();
  out.resize(begin + sizeof(half) + kBlock);
  std::memcpy(out.data() + begin, &half, sizeof(half));
  for (size_t i = 0; i < kBlock; ++i) {
    out[begin + sizeof(half) + i] = static_cast<std::byte>(static_cast<int8_t>(RoundHalfAway(values[i] * inverse)));
  }
}

}  // namespace

void AppendStored(std::span<const float> values, DType dtype, const std::string& where, std::vector<std::byte>& out) {
  switch (dtype) {
    case DType::kF32: {
      CheckRange(values, FLT_MAX, Name(dtype), where);
      const auto bytes = std::as_bytes(values);
      out.insert(out.end(), bytes.begin(), bytes.end());
      return;
    }
    case DType::kBF16:
      CheckRange(values, kLargestBf16, Name(dtype), where);
      return Append16(values, Bf16FromFloat, out);
    case DType::kF16:
      CheckRange(values, kLargestHalf, Name(dtype), where);
      return Append16(values, HalfFromFloat, out);
    default:
      NLA_CHECK(false);
  }
}

void AppendGguf(std::span<const float> values, GgmlType type, const std::string& where, std::vector<std::byte>& out) {
  switch (type) {
    case GgmlType::kF32:
      return AppendStored(values, DType::kF32, where, out);
    case GgmlType::kF16:
      return AppendStored(values, DType::kF16, where, out);
    case GgmlType::kBF16:
      return AppendStored(values, DType::kBF16, where, out);
    case GgmlType::kQ8_0:
      NLA_CHECK(values.size() % kBlock == 0);
      CheckRange(values, kLargestHalf * 126, "Q8_0", where);  // its scale is a half
      for (size_t i = 0; i < values.size(); i += kBlock) AppendBlockQ8(values.subspan(i, kBlock), out);
      return;
    default:
      NLA_CHECK(false);
  }
}

void LoadRow(const TensorView& tensor, int64_t row, std::span<float> out) {
  const std::byte* from = tensor.bytes.data() + static_cast<size_t>(row) * out.size() * SizeOf(tensor.dtype);
  if (tensor.dtype == DType::kF32) {
    std::memcpy(out.data(), from, out.size_bytes());
    return;
  }
  NLA_CHECK(tensor.dtype == DType::kF16 || tensor.dtype == DType::kBF16);
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, from + i * sizeof(bits), sizeof(bits));
    out[i] = tensor.dtype == DType::kF16 ? FloatFromHalf(bits) : FloatFromBf16(bits);
  }
}

}  // namespace nla
