// How the sequences of a batch lie in packed rows: no padding, and an optional prefix that all of them share.
#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

namespace nla {

// Rows of a batch: first `prefix` rows that every segment sees (the shared start of a prompt, computed once), then the
// segments one after another. Each row sees the prefix, and the rows of its own segment up to itself. A segment's first
// row has position `prefix`. Without a prefix the segments are plain independent sequences.
struct PackedBatch {
  int64_t prefix = 0;
  std::vector<int64_t> lengths;  // rows of each segment, all > 0

  int64_t rows() const { return std::accumulate(lengths.begin(), lengths.end(), prefix); }
  // Packed row of each segment's first token.
  std::vector<int64_t> starts() const {
    std::vector<int64_t> starts(lengths.size());
    std::exclusive_scan(lengths.begin(), lengths.end(), starts.begin(), prefix);
    return starts;
  }
};

}  // namespace nla
