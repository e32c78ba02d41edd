// How the rows of a batch are dealt out to ranks.
#pragma once

#include <span>
#include <string>

#include "base/fail.h"
#include "train/collectives/communicator.h"

namespace nla {

// A batch of `size` things has an equal share for everyone, or is a usage error that names the recipe's field.
inline void CheckShares(const std::string& field, int64_t size, const Communicator& ranks) {
  if (size % ranks.size() == 0) return;
  FailUsage({.where = field,
             .what = "cannot be dealt out to the processes that mpirun started",
             .found = std::to_string(size),
             .wanted = "a multiple of " + std::to_string(ranks.size())});
}

// Ranks have consecutive parts, so that together they do what one process does, in its order.
inline size_t RankBegin(size_t size, const Communicator& ranks) {
  return size / static_cast<size_t>(ranks.size()) * static_cast<size_t>(ranks.rank());
}

template <typename T>
std::span<const T> RankShare(std::span<const T> all, const Communicator& ranks) {
  return all.subspan(RankBegin(all.size(), ranks), all.size() / static_cast<size_t>(ranks.size()));
}

}  // namespace nla
