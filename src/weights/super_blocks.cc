// GGUF's blocks of 256 values (K-quants and IQ4_XS): one function a format, from a block's bytes to its values. The
// products stay within fp32's 24 bits, so sums round once whether or not the compiler fuses them.
#include <array>

#include "weights/block_formats.h"

namespace nla {
namespace {

constexpr int kBlock = 256;
constexpr int kRun = 32;       // values whose low bits lie in 32 neighbouring bytes, one a byte
constexpr int kSubBlock = 16;  // values that share a scale in Q2_K, Q3_K, Q6_K
constexpr int kHalfBlock = 128;

// Two-bit levels as Q2_K, Q3_K and the high bits of Q6_K have them: 32 bytes carry four runs of 32 values, from the
// lowest bits up. `run` counts from 0 to 7.
unsigned TwoBits(const std::byte* bytes, int run, int i) {
  return Byte(bytes, run / 4 * kRun + i) >> (run % 4 * 2) & 3u;
}

// Four-bit levels as Q4_K and Q5_K have them: 32 bytes carry two runs, the low halves first.
unsigned FourBits(const std::byte* bytes, int run, int i) {
  return Byte(bytes, run / 2 * kRun + i) >> (run % 2 * 4) & 15u;
}

// 16 bytes of scale (low half) and minimum (high half) a sub-block, 64 bytes of levels, scale and minimum of the block.
void BlockQ2K(const std::byte* block, float* out) {
  const float scale = LoadHalf(block + 80);
  const float minimum = LoadHalf(block + 82);
  for (int sub = 0; sub < kBlock / kSubBlock; ++sub) {
    const unsigned both = Byte(block, sub);
    const float step = scale * static_cast<float>(both & 15u);
    const float offset = minimum * static_cast<float>(both >> 4);
    for (int i = 0; i < kSubBlock; ++i) {
      const unsigned level = TwoBits(block + 16, sub / 2, sub % 2 * kSubBlock + i);
      out[sub * kSubBlock + i] = step * static_cast<float>(level) - offset;
    }
  }
}

// The six-bit scale of one of Q3_K's 16 sub-blocks, offset by 32: 8 bytes with four low bits of two, 4 bytes with two
// high bits of four.
int ScaleQ3K(const std::byte* scales, int sub) {
  const unsigned low = Byte(scales, sub % 8) >> (sub / 8 * 4) & 15u;
  const unsigned high = Byte(scales, 8 + sub % 4) >> (sub / 4 * 2) & 3u;
  return static_cast<int>(low | high << 4) - 32;
}

// 32 bytes of third bits (bit r of byte i: run r, value i; a clear bit subtracts 4), 64 bytes of two bits, 12 bytes of
// scales, the block's scale.
void BlockQ3K(const std::byte* block, float* out) {
  const float scale = LoadHalf(block + 108);
  for (int sub = 0; sub < kBlock / kSubBlock; ++sub) {
    const float step = scale * static_cast<float>(ScaleQ3K(block + 96, sub));
    const int run = sub / 2;
    for (int i = 0; i < kSubBlock; ++i) {
      const int at = sub % 2 * kSubBlock + i;
      const int third = static_cast<int>(Byte(block, at) >> run & 1u);
      const int level = static_cast<int>(TwoBits(block + 32, run, at)) - 4 * (1 - third);
      out[sub * kSubBlock + i] = step * static_cast<float>(level);
    }
  }
}

// Scale and minimum, six bits each, of one of the 8 runs of Q4_K and Q5_K. Runs 0 to 3 have theirs in the low bits of
// bytes 0 to 7; runs 4 to 7 have four bits in bytes 8 to 11 and two in the high bits of bytes 0 to 7.
struct StepAndOffset {
  float step, offset;
};
StepAndOffset ScalesQ45K(const std::byte* scales, int run) {
  if (run < 4) return {static_cast<float>(Byte(scales, run) & 63u), static_cast<float>(Byte(scales, run + 4) & 63u)};
  const unsigned low = Byte(scales, run + 4);
  const unsigned step = (low & 15u) | (Byte(scales, run - 4) >> 6 << 4);
  const unsigned offset = low >> 4 | (Byte(scales, run) >> 6 << 4);
  return {static_cast<float>(step), static_cast<float>(offset)};
}

// Scale and minimum of the block (halves), 12 bytes of scales, 128 bytes of levels.
void BlockQ4K(const std::byte* block, float* out) {
  const float scale = LoadHalf(block);
  const float minimum = LoadHalf(block + 2);
  for (int run = 0; run < kBlock / kRun; ++run) {
    const StepAndOffset six = ScalesQ45K(block + 4, run);
    const float step = scale * six.step;
    const float offset = minimum * six.offset;
    for (int i = 0; i < kRun; ++i) {
      out[run * kRun + i] = step * static_cast<float>(FourBits(block + 16, run, i)) - offset;
    }
  }
}

// As Q4_K, with 32 bytes of fifth bits (bit r of byte i: run r, value i) before the levels.
void BlockQ5K(const std::byte* block, float* out) {
  const float scale = LoadHalf(block);
  const float minimum = LoadHalf(block + 2);
  for (int run = 0; run < kBlock / kRun; ++run) {
    const StepAndOffset six = ScalesQ45K(block + 4, run);
    const float step = scale * six.step;
    const float offset = minimum * six.offset;
    for (int i = 0; i < kRun; ++i) {
      const unsigned fifth = Byte(block + 16, i) >> run & 1u;
      out[run * kRun + i] = step * static_cast<float>(FourBits(block + 48, run, i) | fifth << 4) - offset;
    }
  }
}

// 128 bytes of four low bits, 64 bytes of two high bits, 16 signed scales, the block's scale; levels offset by 32. Of
// each 64 bytes, the low halves make 64 values and then the high halves the next 64.
void BlockQ6K(const std::byte* block, float* out) {
  const float scale = LoadHalf(block + 208);
  for (int sub = 0; sub < kBlock / kSubBlock; ++sub) {
    const float step = scale * static_cast<float>(SignedByte(block, 192 + sub));
    const int begin = sub * kSubBlock;
    const std::byte* low = block + begin / kHalfBlock * 64 + begin % 64;
    const int shift = begin % kHalfBlock / 64 * 4;
    for (int i = 0; i < kSubBlock; ++i) {
      const unsigned high = TwoBits(block + 128, sub / 2, sub % 2 * kSubBlock + i);
      const int level = static_cast<int>((Byte(low, i) >> shift & 15u) | high << 4) - 32;
      out[begin + i] = step * static_cast<float>(level);
    }
  }
}

// Scale (half), 2 bytes with two high bits of each run's scale, 4 bytes with four low bits of two runs' scales (offset
// by 32), then 16 bytes of level indices a run as in IQ4_NL.
void BlockIq4Xs(const std::byte* block, float* out) {
  const float scale = LoadHalf(block);
  const unsigned high_bits = Load16(block + 2);
  for (int run = 0; run < kBlock / kRun; ++run) {
    const unsigned low = Byte(block + 4, run / 2) >> (run % 2 * 4) & 15u;
    const unsigned high = high_bits >> (2 * run) & 3u;
    const float step = scale * static_cast<float>(static_cast<int>(low | high << 4) - 32);
    const std::byte* indices = block + 8 + run * kRun / 2;
    for (int i = 0; i < kRun / 2; ++i) {
      out[run * kRun + i] = step * static_cast<float>(kIq4Levels[Byte(indices, i) & 15u]);
      out[run * kRun + kRun / 2 + i] = step * static_cast<float>(kIq4Levels[Byte(indices, i) >> 4]);
    }
  }
}

constexpr std::array kFormats = {
    MakeFormat<BlockQ2K, kBlock, 84>(GgmlType::kQ2_K, "Q2_K"),
    MakeFormat<BlockQ3K, kBlock, 110>(GgmlType::kQ3_K, "Q3_K"),
    MakeFormat<BlockQ4K, kBlock, 144>(GgmlType::kQ4_K, "Q4_K"),
    MakeFormat<BlockQ5K, kBlock, 176>(GgmlType::kQ5_K, "Q5_K"),
    MakeFormat<BlockQ6K, kBlock, 210>(GgmlType::kQ6_K, "Q6_K"),
    MakeFormat<BlockIq4Xs, kBlock, 136>(GgmlType::kIQ4_XS, "IQ4_XS"),
};

}  // namespace

std::span<const BlockFormat> SuperBlockFormats() { return kFormats; }

}  // namespace nla
