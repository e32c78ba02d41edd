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
  // The weight files alone, with the same checks.
  static std::vector<SafetensorsFile> OpenWeights(const std::filesystem::path& directory);

  const nlohmann::json& config() const { return config_; }
  const std::filesystem::path& directory() const { return directory_; }
  std::vector<std::string> names() const;  // sorted
  const TensorView* Find(std::string_view name) const;
  std::string WeightsHash() const { return HashOfTensors(files_); }  // reads every byte

 private:
  std::filesystem::path directory_;
  nlohmann::json config_;
  std::vector<SafetensorsFile> files_;
};

}  // namespace nla
