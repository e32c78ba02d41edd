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
  // Needs config.json and model.safetensors or model.safetensors.index.json with its shards. A shard that is missing, or a
  // tensor that the index names and the shard lacks, is an error.
  static Checkpoint Open(const std::filesystem::path& directory);

  const nlohmann::json& config() const { return config_; }
  const std::filesystem::path& directory() const { return directory_; }
  std::vector<std::string> names() const;
  const TensorView* Find(std::string_view name) const;
  // sha256 over the sorted (name, dtype, shape, bytes): the same for a sharded and a whole copy.
  std::string WeightsHash() const;

 private:
  std::filesystem::path directory_;
  nlohmann::json config_;
  std::vector<SafetensorsFile> files_;
};

}  // namespace nla
