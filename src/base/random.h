// Random numbers: CPython's generator, bit for bit (datasets must equal the reference's row for row), and a
// counter-based one whose state is a (seed, counter) pair (training and sampling must resume exactly).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace nla {

// random.Random of CPython 3.11+: Mersenne Twister 19937 with the same seeding, getrandbits, sample and shuffle.
class PythonRandom {
 public:
  // random.Random(int).
  explicit PythonRandom(uint64_t seed);
  // random.Random(bytes): the integer of the bytes followed by their SHA-512, big endian.
  static PythonRandom FromBytes(std::string_view bytes);

  uint32_t NextU32();
  uint64_t GetRandBits(int bits);  // bits in 1..64
  uint64_t RandBelow(uint64_t n);  // n > 0
  double Random();                 // random(): 53 bits in [0, 1)
  // Indices of random.sample(range(n), k), in that order. k <= n.
  std::vector<int64_t> Sample(int64_t n, int64_t k);

  template <typename T>
  void Shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i-- > 1;) std::swap(items[i], items[RandBelow(i + 1)]);
  }

 private:
  PythonRandom() = default;
  void SeedByArray(const std::vector<uint32_t>& key);
  void SeedByInt(uint32_t seed);

  std::array<uint32_t, 624> state_;
  int index_ = 624;
};

// One block of Philox 4x32-10.
std::array<uint32_t, 4> PhiloxBlock(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Philox 4x32-10 as a stream. Copyable; equal (seed, stream, counter) gives equal numbers on every machine.
class CounterRandom {
 public:
  CounterRandom(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}

  uint32_t NextU32();
  float Uniform();  // [0, 1) with 24 bits
  float Normal();   // mean 0, variance 1 (Box-Muller, one of the pair)
  uint64_t Below(uint64_t n);

  // 32-bit numbers drawn so far: with seed and stream, the whole state.
  uint64_t counter() const { return counter_; }
  void set_counter(uint64_t counter) {
    counter_ = counter;
    filled_ = false;
  }

 private:
  uint64_t seed_;
  uint64_t stream_;
  uint64_t counter_ = 0;
  std::array<uint32_t, 4> block_{};
  bool filled_ = false;  // block_ holds the block of counter_
};

}  // namespace nla
