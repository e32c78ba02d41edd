// Stage split: base rows into three files for the verbalizer's SFT, the reconstructor's SFT and RL, by document, so
// that no document is seen on two sides (formats.md section 3).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

namespace nla {

struct SplitOptions {
  std::filesystem::path input = {};       // base rows with their sidecar
  std::filesystem::path output_dir = {};  // gets av_sft_raw.parquet, ar_sft_raw.parquet, rl_raw.parquet
  // Fractions of the documents, truncated to whole documents; the rest goes to rl. They must add up to 1.
  double av_fraction = 0.3;
  double ar_fraction = 0.3;
  double rl_fraction = 0.4;
  uint64_t seed = 0;
  bool replace = false;
  std::string created_by = "nla split";
};

struct SplitBucket {
  std::string name = {};  // av_sft, ar_sft, rl
  std::filesystem::path path = {};
  int64_t documents = 0;
  int64_t rows = 0;
};

struct SplitResult {
  std::array<SplitBucket, 3> buckets;
  int64_t documents = 0;
  int64_t rows = 0;
  bool up_to_date = false;  // all three were there already
};

SplitResult Split(const SplitOptions& options);

}  // namespace nla
