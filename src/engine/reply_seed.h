// The seed of a reply: one rule wherever rows are verbalized, so that a reply does not depend on who writes it, in what
// order, or beside what else.
#pragma once

#include <cstdint>

namespace nla {

// Of sample `sample` of row `row`, counted in the whole of what is asked, under the user's `seed`. SplitMix64's
// permutation over each in turn. Below 2^53, so that it passes through every JSON reader unchanged.
inline uint64_t ReplySeed(uint64_t seed, int64_t row, int64_t sample) {
  const auto mix = [](uint64_t x, int64_t step) {
    x += (static_cast<uint64_t>(step) + 1) * 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
  };
  return mix(mix(seed, row), sample) >> 11;
}

}  // namespace nla
