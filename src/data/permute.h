// Reorders the rows of a Parquet file, or the values of one column, on disk: memory stays bounded whatever the file's
// size.
//
// The rows go once, in file order, into a nameless scratch file beside the output (Arrow IPC, uncompressed) which is
// mapped into memory; the output is then gathered row by row through 64-bit positions of our own. Arrow's take is not
// used: it has corrupted list columns above 4 GiB of values. Needs free disk for one uncompressed copy of what moves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/random.h"

namespace nla {

struct PermuteOptions {
  // Moves this column's values alone, every other column stays; empty: whole rows move.
  std::string only_column = {};
  // Rows to a batch of the scratch file. Some kilobytes of memory are kept for each batch.
  int64_t scratch_batch_rows = 8192;
  // Label of the progress line.
  std::string label = "permute";
};

// Output row i is input row order[i]; order must hold every row once. All columns and types are kept as they are.
void PermuteRows(const std::filesystem::path& input, const std::filesystem::path& output,
                 std::span<const int64_t> order, const PermuteOptions& options = {});

// Fills `order` with 0..n-1 as CPython's `order = list(range(n)); random.shuffle(order)` would.
void FillShuffledOrder(std::span<int64_t> order, PythonRandom& random);

// Rows in a Parquet file, by its footer.
int64_t CountRows(const std::filesystem::path& parquet);

}  // namespace nla
