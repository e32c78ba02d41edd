// Decimal digits to the nearest float, for float_scanner.cc alone. Multiplies them by a 64-bit power of ten and keeps
// 64 bits of the product: exact unless that lies within its error of the middle between two floats.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <limits>

namespace nla::serve {

inline constexpr int kLeastPower = -64;
inline constexpr int kMostPower = 38;

// 10^q = bits · 2^exponent, bits with the top bit set and cut, not rounded.
struct Power {
  uint64_t bits = 0;
  int exponent = 0;
};

// A natural number of 512 bits, least significant word first.
class Natural {
 public:
  static constexpr int kWords = 16;
  constexpr explicit Natural(int power_of_two) { words_[power_of_two / 32] = 1U << (power_of_two % 32); }

  constexpr void Multiply(uint32_t factor) {
    uint64_t carry = 0;
    for (uint32_t& word : words_) {
      carry += static_cast<uint64_t>(word) * factor;
      word = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
  }
  constexpr void Divide(uint32_t divisor) {
    uint64_t rest = 0;
    for (int i = kWords - 1; i >= 0; --i) {
      rest = rest << 32 | words_[i];
      words_[i] = static_cast<uint32_t>(rest / divisor);
      rest %= divisor;
    }
  }
  // The top 64 bits, and how many bits lie below them.
  constexpr Power Top() const {
    int last = 32 * kWords - 1;
    while (!Bit(last)) --last;
    Power top{0, last - 63};
    for (int i = last; i > last - 64; --i) top.bits = top.bits << 1 | static_cast<uint64_t>(i >= 0 && Bit(i));
    return top;
  }

 private:
  constexpr bool Bit(int i) const { return (words_[i / 32] >> (i % 32) & 1U) != 0; }
  std::array<uint32_t, kWords> words_{};
};

// floor(floor(a / 5) / 5) = floor(a / 25), so that dividing step by step cuts only once.
constexpr std::array<Power, kMostPower - kLeastPower + 1> MakePowers() {
  constexpr int kScale = 500;
  std::array<Power, kMostPower - kLeastPower + 1> powers{};
  Natural up(0);
  for (int q = 0; q <= kMostPower; ++q, up.Multiply(5)) {
    powers[q - kLeastPower] = up.Top();
    powers[q - kLeastPower].exponent += q;
  }
  Natural down(kScale);
  for (int q = -1; q >= kLeastPower; --q) {
    down.Divide(5);
    powers[q - kLeastPower] = down.Top();
    powers[q - kLeastPower].exponent += q - kScale;
  }
  return powers;
}

inline constexpr std::array<Power, kMostPower - kLeastPower + 1> kPowersOfTen = MakePowers();

// The float nearest to digits · 10^power, digits not 0; a NaN where this path cannot tell.
inline float NearestFloat(uint64_t digits, int power) {
  __extension__ using Product = unsigned __int128;
  constexpr float kCannotTell = std::numeric_limits<float>::quiet_NaN();
  if (power < kLeastPower || power > kMostPower) return kCannotTell;
  const Power& ten = kPowersOfTen[power - kLeastPower];
  const int zeros = std::countl_zero(digits);
  // The true product lies in [product, product + 2^64).
  const auto product = static_cast<Product>(digits << zeros) * ten.bits;
  const auto high = static_cast<uint64_t>(product >> 64);
  const int shift = 39 + static_cast<int>(high >> 63);
  const uint64_t rest = high & ((uint64_t{1} << shift) - 1);
  const uint64_t half = uint64_t{1} << (shift - 1);
  if (rest + 2 >= half && rest <= half) return kCannotTell;
  uint64_t mantissa = (high >> shift) + (rest > half ? 1 : 0);
  int exponent = shift + 64 + ten.exponent - zeros;  // value = mantissa · 2^exponent
  if (mantissa == uint64_t{1} << 24) {
    mantissa >>= 1;
    ++exponent;
  }
  const int biased = exponent + 23 + 127;
  if (biased < 1 || biased > 254) return kCannotTell;
  return std::bit_cast<float>(static_cast<uint32_t>(biased) << 23 | static_cast<uint32_t>(mantissa & 0x7fffffU));
}

}  // namespace nla::serve
