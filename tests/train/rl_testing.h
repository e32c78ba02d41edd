// What the reinforcement-learning tests share: a tiny pair whose verbalizer writes whole explanations from the start,
// and rows for it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nla/tiny_pair_testing.h"
#include "train/grpo/options.h"

namespace nla {

// A directory of its own, removed at the end. Beside what TinyPair has:
//   known/            base model: replies "<explanation>X</explanation>", X one of a … d, which its embedding tells
//   apart known_av, known_ar  adapters over it; the verbalizer's change little, the reconstructor's are random pair/
//   those two; pair_whole/: av_known and ar_whole rl.parquet        64 rows of stage rl, four a document: entry 10 + k
//   of a vector stands out for X heldout.parquet   16 such rows without prompts
class TinyRl {
 public:
  TinyRl();
  std::filesystem::path operator/(const std::string& name) const { return pair_ / name; }
  const TinyPair& tiny() const { return pair_; }

  // A short run with 4 × 4 replies a step; at this temperature the letter is drawn, and all else nearly certain.
  RlOptions Options(const std::string& out) const;
  // The fields of Options(out) as a recipe's section.
  std::string Recipe(const std::string& out) const;

  // Rows like those of rl.parquet; `label` is every row's explanation, or none where it is empty.
  void WriteRows(const std::string& name, const std::string& stage, int64_t rows, const std::string& label) const;

 private:
  void WriteKnownBase() const;
  void WriteKnownSide(const std::string& name, Role role) const;

  TinyPair pair_;
};

// The lines of a file of JSON objects, each without the fields that tell the time.
std::vector<nlohmann::json> ReadRlLines(const std::filesystem::path& path);
// A field of all lines of a kind that have it.
std::vector<double> FieldOf(const std::vector<nlohmann::json>& lines, const std::string& kind,
                            const std::string& field);

}  // namespace nla
