// A Hugging Face checkpoint directory: config.json and one or many safetensors files seen as one set of tensors.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "weights/safetensors.h"

namespace nla {

class Checkpoint {
 public:
  // Needs config.json (a JSON object) and model.safetensors or model.safetensors.index.json with its shards. A shard
  // that is missing, or a tensor that the index names and the shard lacks, is an error.
  static Checkpoint Open(const std::filesystem::path& directory);

  const nlohmann::json& config() const { return config_; }
  const std::filesystem::path& directory() const { return directory_; }
  std::vector<std::string> names() const;  // sorted
  const TensorView* Find(std::string_view name) const;
  // sha256 over one JSON line [name, dtype, shape, sha256 of the bytes] a tensor, sorted by name: the same for a
  // sharded and a whole copy. Reads every byte.
  std::string WeightsHash() const;

 private:
  std::filesystem::path directory_;
  nlohmann::json config_;
  std::vector<SafetensorsFile> files_;
};

}  // namespace nla
