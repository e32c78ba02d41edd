// GGUF's single values and blocks of 32: one function a format, from a block's bytes to its values. Every product of a
// scale and a level fits in fp32's 24 bits, so a sum rounds once whether or not the compiler fuses it.
#include <array>
#include <cstring>

#include "weights/block_formats.h"

namespace nla {
namespace {

constexpr int kBlock = 32;
constexpr int kHalf = kBlock / 2;  // of 16 bytes of four-bit levels, byte i holds value i low and value i + 16 high

void BlockF32(const std::byte* block, float* out) { std::memcpy(out, block, sizeof(float)); }
void BlockF16(const std::byte* block, float* out) { *out = LoadHalf(block); }
void BlockBf16(const std::byte* block, float* out) { *out = FloatFromBf16(Load16(block)); }

// Scale (half), then 32 signed bytes.
void BlockQ8_0(const std::byte* block, float* out) {
  const float scale = LoadHalf(block);
  for (int i = 0; i < kBlock; ++i) out[i] = scale * static_cast<float>(SignedByte(block, 2 + i));
}

// Scale (half), then 16 bytes of levels, offset by 8.
void BlockQ4_0(const std::byte* block, float* out) {
  const float scale = LoadHalf(block);
  for (int i = 0; i < kHalf; ++i) {
    const int both = static_cast<int>(Byte(block, 2 + i));
    out[i] = scale * static_cast<float>((both & 15) - 8);
    out[i + kHalf] = scale * static_cast<float>((both >> 4) - 8);
  }
}

// Scale and minimum (halves), then 16 bytes of levels.
void BlockQ4_1(const std::byte* block, float* out) {
  const float scale = LoadHalf(block);
  const float minimum = LoadHalf(block + 2);
  for (int i = 0; i < kHalf; ++i) {
    const int both = static_cast<int>(Byte(block, 4 + i));
    out[i] = scale * static_cast<float>(both & 15) + minimum;
    out[i + kHalf] = scale * static_cast<float>(both >> 4) + minimum;
  }
}

// The level of value i of Q5_0 and Q5_1: four bits as in Q4_0 at `low`, the fifth is bit i of the 32 at `high`.
int Level5(const std::byte* high, const std::byte* low, int i) {
  const unsigned four = Byte(low, i % kHalf) >> (i / kHalf * 4) & 15u;
  const unsigned fifth = Byte(high, i / 8) >> (i % 8) & 1u;
  return static_cast<int>(four | fifth << 4);
}

// Scale (half), 4 bytes of fifth bits, 16 bytes of four; levels offset by 16.
void BlockQ5_0(const std::byte* block, float* out) {
  const float scale = LoadHalf(block);
  for (int i = 0; i < kBlock; ++i) out[i] = scale * static_cast<float>(Level5(block + 2, block + 6, i) - 16);
}

// Scale and minimum (halves), 4 bytes of fifth bits, 16 bytes of four.
void BlockQ5_1(const std::byte* block, float* out) {
  const float scale = LoadHalf(block);
  const float minimum = LoadHalf(block + 2);
  for (int i = 0; i < kBlock; ++i) out[i] = scale * static_cast<float>(Level5(block + 4, block + 8, i)) + minimum;
}

// Scale (half), then 16 bytes of indices into the table of levels.
void BlockIq4Nl(const std::byte* block, float* out) {
  const float scale = LoadHalf(block);
  for (int i = 0; i < kHalf; ++i) {
    const unsigned both = Byte(block, 2 + i);
    out[i] = scale * static_cast<float>(kIq4Levels[both & 15]);
    out[i + kHalf] = scale * static_cast<float>(kIq4Levels[both >> 4]);
  }
}

constexpr std::array kFormats = {
    MakeFormat<BlockF32, 1, 4>(GgmlType::kF32, "F32"),
    MakeFormat<BlockF16, 1, 2>(GgmlType::kF16, "F16"),
    MakeFormat<BlockBf16, 1, 2>(GgmlType::kBF16, "BF16"),
    MakeFormat<BlockQ8_0, kBlock, 34>(GgmlType::kQ8_0, "Q8_0"),
    MakeFormat<BlockQ4_0, kBlock, 18>(GgmlType::kQ4_0, "Q4_0"),
    MakeFormat<BlockQ4_1, kBlock, 20>(GgmlType::kQ4_1, "Q4_1"),
    MakeFormat<BlockQ5_0, kBlock, 22>(GgmlType::kQ5_0, "Q5_0"),
    MakeFormat<BlockQ5_1, kBlock, 24>(GgmlType::kQ5_1, "Q5_1"),
    MakeFormat<BlockIq4Nl, kBlock, 18>(GgmlType::kIQ4_NL, "IQ4_NL"),
};

}  // namespace

std::span<const BlockFormat> SmallBlockFormats() { return kFormats; }

}  // namespace nla
