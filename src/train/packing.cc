// Packing of id sequences.
#include "train/packing.h"

#include <algorithm>
#include <numeric>

#include "base/fail.h"

namespace nla {

int64_t SharedPrefix(std::span<const IdSequence> sequences, int64_t longest) {
  NLA_CHECK(!sequences.empty());
  const IdSequence first = sequences[0];
  for (const IdSequence& sequence : sequences) {
    const int64_t most = std::min<int64_t>(longest, static_cast<int64_t>(sequence.size()) - 1);
    NLA_CHECK(most >= 0);
    longest = std::mismatch(sequence.begin(), sequence.begin() + most, first.begin()).first - sequence.begin();
  }
  return longest;
}

PackedIds PackSequences(std::span<const IdSequence> sequences, int64_t prefix) {
  PackedIds packed;
  packed.batch.prefix = prefix;
  packed.ids.assign(sequences[0].begin(), sequences[0].begin() + prefix);
  for (const IdSequence& sequence : sequences) {
    packed.starts.push_back(static_cast<int64_t>(packed.ids.size()));
    packed.batch.lengths.push_back(static_cast<int64_t>(sequence.size()) - prefix);
    packed.ids.insert(packed.ids.end(), sequence.begin() + prefix, sequence.end());
  }
  return packed;
}

std::vector<std::vector<size_t>> MicroBatches(std::span<const IdSequence> sequences, int64_t prefix, int64_t max_rows) {
  std::vector<size_t> order(sequences.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sequences[a].size() < sequences[b].size(); });
  std::vector<std::vector<size_t>> groups;
  int64_t rows = max_rows + 1;
  for (const size_t index : order) {
    const int64_t length = static_cast<int64_t>(sequences[index].size()) - prefix;
    if (rows + length > max_rows) {
      groups.emplace_back();
      rows = prefix;
    }
    groups.back().push_back(index);
    rows += length;
  }
  return groups;
}

}  // namespace nla
