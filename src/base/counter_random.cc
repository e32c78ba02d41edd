// Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): key = seed, counter = block and
// stream.
#include <cmath>
#include <numbers>

#include "base/fail.h"
#include "base/random.h"

namespace nla {

std::array<uint32_t, 4> PhiloxBlock(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53U} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57U} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

uint32_t CounterRandom::NextU32() {
  const uint64_t block = counter_ / 4;
  if (!filled_ || counter_ % 4 == 0) {
    block_ = PhiloxBlock({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                          static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
                         {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
    filled_ = true;
  }
  return block_[counter_++ % 4];
}

float CounterRandom::Uniform() { return static_cast<float>(NextU32() >> 8) * 0x1p-24F; }

float CounterRandom::Normal() {
  // 1 - u lies in (0, 1], so the logarithm is finite.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(Uniform())));
  return static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * static_cast<double>(Uniform())));
}

uint64_t CounterRandom::Below(uint64_t n) {
  NLA_CHECK(n > 0);
  // Lowest value that leaves a whole number of ranges of n above it (2^64 mod n): smaller ones are drawn again.
  const uint64_t threshold = (0 - n) % n;
  while (true) {
    const uint64_t high = NextU32();
    const uint64_t value = high << 32 | NextU32();
    if (value >= threshold) return value % n;
  }
}

}  // namespace nla
