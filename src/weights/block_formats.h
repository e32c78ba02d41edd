// The block formats of GGUF as a table: what a type is called, how wide its blocks are, and the function that reads a
// run of them. Internal to dequantize.cc and the two files of formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "weights/float_bits.h"
#include "weights/gguf.h"

namespace nla {

struct BlockFormat {
  GgmlTypeFacts facts;
  void (*read)(const std::byte* from, int64_t blocks, float* out);
};

// Single values, and blocks of 32 values with one scale.
std::span<const BlockFormat> SmallBlockFormats();
// Blocks of 256 values: sub-blocks whose scales are themselves quantised.
std::span<const BlockFormat> SuperBlockFormats();

inline unsigned Byte(const std::byte* bytes, int64_t i) { return std::to_integer<unsigned>(bytes[i]); }
inline int SignedByte(const std::byte* bytes, int64_t i) { return static_cast<int8_t>(bytes[i]); }
inline uint16_t Load16(const std::byte* bytes) { return static_cast<uint16_t>(Byte(bytes, 0) | Byte(bytes, 1) << 8); }
inline float LoadHalf(const std::byte* bytes) { return FloatFromHalf(Load16(bytes)); }

// The sixteen levels of the IQ4 formats.
inline constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// A run of blocks from a function for one, which is inlined into the loop.
template <void (*ReadBlock)(const std::byte* block, float* out), int64_t kValues, int64_t kBytes>
void ReadBlocks(const std::byte* from, int64_t blocks, float* out) {
  for (int64_t i = 0; i < blocks; ++i) ReadBlock(from + i * kBytes, out + i * kValues);
}

template <void (*ReadBlock)(const std::byte* block, float* out), int64_t kValues, int64_t kBytes>
constexpr BlockFormat MakeFormat(GgmlType type, const char* name) {
  return {{type, name, kValues, kBytes}, ReadBlocks<ReadBlock, kValues, kBytes>};
}

}  // namespace nla
