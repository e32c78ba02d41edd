// What a path is, what is known of it, and what would refuse it: weight files, checkpoints, the sides of a pair, pairs,
// datasets.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace nla {

struct Inspection {
  std::string kind;  // safetensors, gguf, checkpoint, verbalizer, reconstructor, pair, dataset, unknown
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<std::string> problems;  // each would make some command refuse the path
};

// Never throws for what it finds inside; a path that is not there is an error.
// `base` stands in for the base model that adapters name.
Inspection Inspect(const std::filesystem::path& path, const std::filesystem::path& base = {});

}  // namespace nla
