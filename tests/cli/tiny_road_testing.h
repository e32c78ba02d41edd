// The whole way from a corpus to a pair, made by the program on the tiny checkpoint in a few seconds: what the tests of
// whole commands start from.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/run_testing.h"
#include "data/data_testing.h"

namespace nla {

// The JSON document of a command that must end with 0 and print it, and nothing else, on stdout.
nlohmann::json RunJson(std::vector<std::string> arguments);

// A folder, and in it:
//   model/ corpus.jsonl recipe.yaml actor.txt
//   base.parquet split/ {av,ar}_sft_explained.parquet {av,ar}_sft_ordered.parquet {av,ar}_sft.parquet heldout.parquet
//   runs/{ar,av}/ pair/
class TinyRoad {
 public:
  // Made at the first call, for all tests of the program; they must not write to it.
  static const TinyRoad& Get();

  std::string operator/(const std::string& name) const { return (folder_ / name).string(); }
  // What the stage printed: "extract", "split", "label av_sft", "build av_sft", "shuffle av_sft", "train av", "pair" …
  const nlohmann::json& Result(const std::string& stage) const { return results_.at(stage); }

 private:
  TinyRoad();
  void WriteInputs() const;
  void Stage(const std::string& name, const std::vector<std::string>& arguments);

  TestFolder folder_;
  std::map<std::string, nlohmann::json> results_;
};

}  // namespace nla
