// CPython's random.Random: MT19937 (Matsumoto and Nishimura 2002) with CPython's seeding, sample and shuffle.
#include <cmath>
#include <unordered_set>

#include "base/fail.h"
#include "base/hash.h"
#include "base/random.h"

namespace nla {
namespace {

constexpr int kN = 624;
constexpr int kM = 397;
constexpr uint32_t kUpperMask = 0x80000000U;
constexpr uint32_t kLowerMask = 0x7fffffffU;

uint32_t Twist(uint32_t high, uint32_t low) {
  const uint32_t mixed = (high & kUpperMask) | (low & kLowerMask);
  return (mixed >> 1) ^ ((mixed & 1U) != 0 ? 0x9908b0dfU : 0U);
}

// 4 ** ceil(log(3k, 4)) + 21: where CPython's sample() prefers a pool of all candidates to a set of chosen ones.
int64_t SampleSetSize(int64_t k) {
  int64_t size = 21;
  if (k > 5) {
    // math.log(x, 4) is log(x) / log(4); the same quotient is formed here so that powers of four round alike.
    const double exponent = std::ceil(std::log(static_cast<double>(3 * k)) / std::log(4.0));
    size += int64_t{1} << (2 * static_cast<int>(exponent));
  }
  return size;
}

}  // namespace

PythonRandom::PythonRandom(uint64_t seed) {
  std::vector<uint32_t> key{static_cast<uint32_t>(seed)};
  if (seed >> 32 != 0) key.push_back(static_cast<uint32_t>(seed >> 32));
  SeedByArray(key);
}

PythonRandom PythonRandom::FromBytes(std::string_view bytes) {
  const auto digest = Sha512(bytes);
  std::string number(bytes);
  number.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  // 32-bit chunks of the big-endian number, least significant first, without leading zero chunks.
  std::vector<uint32_t> key((number.size() + 3) / 4, 0);
  for (size_t i = 0; i < number.size(); ++i) {
    const auto byte = static_cast<uint8_t>(number[number.size() - 1 - i]);
    key[i / 4] |= static_cast<uint32_t>(byte) << (8 * (i % 4));
  }
  while (key.size() > 1 && key.back() == 0) key.pop_back();
  PythonRandom random;
  random.SeedByArray(key);
  return random;
}

void PythonRandom::SeedByInt(uint32_t seed) {
  state_[0] = seed;
  for (uint32_t i = 1; i < kN; ++i) state_[i] = 1812433253U * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
  index_ = kN;
}

void PythonRandom::SeedByArray(const std::vector<uint32_t>& key) {
  SeedByInt(19650218U);
  size_t i = 1;
  const auto wrap = [&] {
    if (++i >= kN) {
      state_[0] = state_[kN - 1];
      i = 1;
    }
  };
  const auto previous = [&] { return state_[i - 1] ^ (state_[i - 1] >> 30); };
  size_t j = 0;
  for (size_t step = std::max<size_t>(kN, key.size()); step > 0; --step) {
    state_[i] = (state_[i] ^ (previous() * 1664525U)) + key[j] + static_cast<uint32_t>(j);
    if (++j >= key.size()) j = 0;
    wrap();
  }
  for (size_t step = kN - 1; step > 0; --step) {
    state_[i] = (state_[i] ^ (previous() * 1566083941U)) - static_cast<uint32_t>(i);
    wrap();
  }
  state_[0] = 0x80000000U;
}

uint32_t PythonRandom::NextU32() {
  if (index_ >= kN) {
    for (int i = 0; i < kN; ++i) state_[i] = state_[(i + kM) % kN] ^ Twist(state_[i], state_[(i + 1) % kN]);
    index_ = 0;
  }
  uint32_t y = state_[index_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680U;
  y ^= (y << 15) & 0xefc60000U;
  return y ^ (y >> 18);
}

uint64_t PythonRandom::GetRandBits(int bits) {
  NLA_CHECK(bits >= 1 && bits <= 64);
  if (bits <= 32) return NextU32() >> (32 - bits);
  const uint64_t low = NextU32();
  const uint64_t high = NextU32() >> (64 - bits);
  return high << 32 | low;
}

uint64_t PythonRandom::RandBelow(uint64_t n) {
  NLA_CHECK(n > 0);
  const int bits = 64 - __builtin_clzll(n);
  uint64_t value = GetRandBits(bits);
  while (value >= n) value = GetRandBits(bits);
  return value;
}

double PythonRandom::Random() {
  const uint32_t a = NextU32() >> 5;
  const uint32_t b = NextU32() >> 6;
  return (a * 67108864.0 + b) * (1.0 / 9007199254740992.0);
}

std::vector<int64_t> PythonRandom::Sample(int64_t n, int64_t k) {
  NLA_CHECK(k >= 0 && k <= n);
  std::vector<int64_t> result;
  result.reserve(static_cast<size_t>(k));
  if (n <= SampleSetSize(k)) {
    std::vector<int64_t> pool(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) pool[i] = i;
    for (int64_t i = 0; i < k; ++i) {
      const uint64_t j = RandBelow(static_cast<uint64_t>(n - i));
      result.push_back(pool[j]);
      pool[j] = pool[n - i - 1];
    }
    return result;
  }
  std::unordered_set<int64_t> selected;
  for (int64_t i = 0; i < k; ++i) {
    auto j = static_cast<int64_t>(RandBelow(static_cast<uint64_t>(n)));
    while (!selected.insert(j).second) j = static_cast<int64_t>(RandBelow(static_cast<uint64_t>(n)));
    result.push_back(j);
  }
  return result;
}

}  // namespace nla
