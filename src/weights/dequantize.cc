// The block formats of GGUF: one function a format, from a block's bytes to its values. Adding a format adds a function
// and a row of the table. The file's layout is gguf.cc's.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/fail.h"
#include "weights/float_bits.h"
#include "weights/gguf.h"

namespace nla {
namespace {

constexpr int64_t kBlock = 32;  // values in a block of Q4_0, Q4_1 and Q8_0

uint16_t Load16(const std::byte* bytes) {
  return static_cast<uint16_t>(std::to_integer<unsigned>(bytes[0]) | std::to_integer<unsigned>(bytes[1]) << 8);
}

void BlockF32(const std::byte* block, float* out) { std::memcpy(out, block, sizeof(float)); }
void BlockF16(const std::byte* block, float* out) { *out = FloatFromHalf(Load16(block)); }
void BlockBf16(const std::byte* block, float* out) { *out = FloatFromBf16(Load16(block)); }

// Scale (half), then 32 signed bytes.
void BlockQ8_0(const std::byte* block, float* out) {
  const float scale = FloatFromHalf(Load16(block));
  for (int64_t i = 0; i < kBlock; ++i) out[i] = scale * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

// Scale (half), then 16 bytes: byte i holds value i low and value i + 16 high, both offset by 8.
void BlockQ4_0(const std::byte* block, float* out) {
  const float scale = FloatFromHalf(Load16(block));
  for (int64_t i = 0; i < kBlock / 2; ++i) {
    const int both = std::to_integer<int>(block[2 + i]);
    out[i] = scale * static_cast<float>((both & 15) - 8);
    out[i + kBlock / 2] = scale * static_cast<float>((both >> 4) - 8);
  }
}

// Scale and minimum (halves), then 16 bytes as in Q4_0 without the offset. scale * q has 15 significant bits and is
// exact in fp32, so the sum rounds once whether or not the compiler fuses it.
void BlockQ4_1(const std::byte* block, float* out) {
  const float scale = FloatFromHalf(Load16(block));
  const float minimum = FloatFromHalf(Load16(block + 2));
  for (int64_t i = 0; i < kBlock / 2; ++i) {
    const int both = std::to_integer<int>(block[4 + i]);
    out[i] = scale * static_cast<float>(both & 15) + minimum;
    out[i + kBlock / 2] = scale * static_cast<float>(both >> 4) + minimum;
  }
}

struct Format {
  GgmlTypeFacts facts;
  void (*read_block)(const std::byte* block, float* out);
};
constexpr std::array<Format, 6> kFormats = {{
    {{GgmlType::kF32, "F32", 1, 4}, BlockF32},
    {{GgmlType::kF16, "F16", 1, 2}, BlockF16},
    {{GgmlType::kBF16, "BF16", 1, 2}, BlockBf16},
    {{GgmlType::kQ8_0, "Q8_0", kBlock, 34}, BlockQ8_0},
    {{GgmlType::kQ4_0, "Q4_0", kBlock, 18}, BlockQ4_0},
    {{GgmlType::kQ4_1, "Q4_1", kBlock, 20}, BlockQ4_1},
}};

const Format* FindFormat(uint32_t type) {
  const auto it = std::find_if(kFormats.begin(), kFormats.end(),
                               [&](const Format& f) { return static_cast<uint32_t>(f.facts.type) == type; });
  return it == kFormats.end() ? nullptr : &*it;
}

}  // namespace

const GgmlTypeFacts* FindGgmlType(uint32_t type) {
  const Format* format = FindFormat(type);
  return format == nullptr ? nullptr : &format->facts;
}

int64_t RowWidth(const GgufTensor& tensor) { return tensor.shape.back(); }

int64_t RowCount(const GgufTensor& tensor) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) rows *= tensor.shape[i];
  return rows;
}

void DequantizeRow(const GgufTensor& tensor, int64_t row, std::span<float> out) {
  const Format* format = FindFormat(static_cast<uint32_t>(tensor.type));
  NLA_CHECK(format != nullptr && row >= 0 && row < RowCount(tensor));
  NLA_CHECK(static_cast<int64_t>(out.size()) == RowWidth(tensor));
  const int64_t blocks = RowWidth(tensor) / format->facts.values;
  const std::byte* block = tensor.bytes.data() + row * blocks * format->facts.bytes;
  for (int64_t i = 0; i < blocks; ++i) {
    format->read_block(block + i * format->facts.bytes, out.data() + i * format->facts.values);
  }
}

std::vector<float> Dequantize(const GgufTensor& tensor) {
  const int64_t width = RowWidth(tensor);
  const int64_t rows = RowCount(tensor);
  std::vector<float> values(static_cast<size_t>(rows * width));
  for (int64_t row = 0; row < rows; ++row) {
    DequantizeRow(tensor, row, std::span(values).subspan(static_cast<size_t>(row * width), static_cast<size_t>(width)));
  }
  return values;
}

}  // namespace nla
