// From sequences of ids to packed rows: the shared beginning once, then each sequence's rest; and the division of a
// batch into micro-batches. Host work only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/packed_batch.h"
#include "text/tokenizer.h"

namespace nla {

using IdSequence = std::span<const TokenId>;

struct PackedIds {
  PackedBatch batch;
  std::vector<int64_t> ids;     // [T]
  std::vector<int64_t> starts;  // packed row of each sequence's first token after the prefix

  // Packed row of a sequence's token.
  int64_t RowOf(size_t sequence, int64_t token) const {
    return token < batch.prefix ? token : starts[sequence] + token - batch.prefix;
  }
};

// Length of the beginning that all sequences share, at most `longest`, and shorter than every sequence.
int64_t SharedPrefix(std::span<const IdSequence> sequences, int64_t longest);

PackedIds PackSequences(std::span<const IdSequence> sequences, int64_t prefix);

// Indices of the sequences, ordered by length and cut into groups of at most `max_rows` packed rows (a group has at
// least one sequence). Similar lengths together keep the padded views of attention small.
std::vector<std::vector<size_t>> MicroBatches(std::span<const IdSequence> sequences, int64_t prefix, int64_t max_rows);

}  // namespace nla
