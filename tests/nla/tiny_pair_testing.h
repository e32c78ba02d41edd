// Whole tiny pairs for tests of the method: a base model with a tokenizer, both sides as adapters and as whole
// checkpoints of the same weights, and a verbalizer whose replies are known beforehand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/scratch_testing.h"
#include "nla/pair.h"
#include "nla/sidecar.h"

namespace nla {

inline constexpr int64_t kTinyWidth = 64;
inline constexpr int64_t kTinyLayer = 1;  // K: the base model has 3 blocks
inline constexpr double kTinyInjectionScale = 6;

// A directory of its own, removed at the end:
//   base/                   the tiny Llama; its tokenizer has <explanation> and </explanation> as tokens
//   av/, ar/                random adapters over it with sidecars
//   av_whole/, ar_whole/    the same sides with the adapters merged
//   av_known/               whole: replies "<explanation>X</explanation>", X as KnownExplanation says
class TinyPair {
 public:
  TinyPair();

  const std::filesystem::path& path() const { return scratch_.path(); }
  std::filesystem::path operator/(const std::string& name) const { return scratch_ / name; }
  RoleSource Source(const std::string& side) const { return {scratch_ / side, scratch_ / "base", at::kFloat, {}}; }

  // Puts two of the sides together as `name`, with baselines from heldout.parquet where that is there.
  PairLocation Assemble(const std::string& name, const std::string& actor, const std::string& critic) const;
  // `rows` random activations as heldout.parquet, with texts, and with explanations when `explained`; and its sidecar.
  std::filesystem::path WriteHeldOut(int64_t rows, bool explained) const;

 private:
  ScratchDirectory scratch_;
};

// "a" … "d": the largest of the vector's entries 10 … 13; the first of equal ones.
std::string KnownExplanation(const float* vector);

// `rows` vectors of normal numbers, [rows, kTinyWidth].
std::vector<float> RandomVectors(int64_t rows, uint64_t seed);

// Rewrites a JSON file, or the sidecar of a directory.
void EditJson(const std::filesystem::path& path, const std::function<void(nlohmann::json&)>& edit);
void EditSidecar(const std::filesystem::path& directory, const std::function<void(ModelSidecar&)>& edit);
// Replaces the only occurrence of `from` in a text file.
void EditText(const std::filesystem::path& path, const std::string& from, const std::string& to);

}  // namespace nla
