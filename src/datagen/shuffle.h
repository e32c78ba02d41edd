// Stages shuffle and shuffle-activations: the rows of a dataset in a random order; and the baseline that leaves every
// row where it is and gives it another row's vector. Both by the reference's permutation for the seed and the dataset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace nla {

struct ShuffleOptions {
  std::filesystem::path input = {};  // any dataset with its sidecar
  std::filesystem::path output = {};
  uint64_t seed = 0;
  bool replace = false;
  std::string created_by = "nla shuffle";
};

struct ShuffleResult {
  int64_t rows = 0;
  int64_t fixed_points = 0;  // rows that stay (shuffle) or keep their own vector (shuffle-activations)
  bool up_to_date = false;   // fixed_points is then not counted again
};

// All columns are kept, also those that formats.md does not name. Memory is bounded; the disk beside the output holds
// one uncompressed copy of the rows meanwhile.
ShuffleResult Shuffle(const ShuffleOptions& options);

// Permutes the column activation_vector alone. A plain random permutation, so about one row keeps its vector by chance.
ShuffleResult ShuffleActivations(const ShuffleOptions& options);

}  // namespace nla
