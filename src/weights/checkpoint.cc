// Opens checkpoint directories. The files themselves are safetensors.cc's; what config.json means is the model layer's.
#include "weights/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/fail.h"
#include "weights/strict_json.h"

namespace nla {
namespace {

constexpr const char* kWhole = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

// Shards lie beside their index: a name that leads elsewhere is refused.
void CheckShardName(const std::string& name, const std::string& where) {
  const bool plain = !name.empty() && name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  if (plain && name.ends_with(".safetensors")) return;
  Fail({.where = where,
        .what = "shard name",
        .found = name,
        .wanted = "a plain file name that ends in .safetensors",
        .mend = "Do not use this checkpoint unless you trust it and correct its index"});
}

// tensor name -> shard file name.
std::map<std::string, std::string> ReadIndex(const fs::path& path) {
  const nlohmann::json index = ReadStrictJson(path);
  const std::string where = path.string() + ": weight_map";
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object() || map->empty()) {
    Fail({.where = where, .what = "missing or empty", .wanted = "an object from tensor names to file names"});
  }
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, file] : map->items()) {
    const std::string entry = fmt::format("{}: {}", where, tensor);
    if (!file.is_string()) Fail({.where = entry, .what = "not a string", .found = file.dump()});
    CheckShardName(file.get<std::string>(), entry);
    shards[tensor] = file.get<std::string>();
  }
  return shards;
}

std::vector<SafetensorsFile> OpenShards(const fs::path& directory) {
  const fs::path index_path = directory / kIndex;
  const std::map<std::string, std::string> index = ReadIndex(index_path);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : index) shards.insert(shard);
  std::vector<SafetensorsFile> files;
  std::map<std::string, std::string> found;  // tensor name -> shard that holds it
  for (const std::string& shard : shards) {
    if (!fs::is_regular_file(directory / shard)) {
      Fail({.where = index_path.string(),
            .what = "a shard is missing",
            .found = shard,
            .mend = "Fetch the whole checkpoint again"});
    }
    files.push_back(SafetensorsFile::Open(directory / shard));
    for (const TensorView& view : files.back().tensors()) {
      const auto [other, fresh] = found.emplace(view.name, shard);
      if (fresh) continue;
      Fail({.where = (directory / shard).string(),
            .what = fmt::format("tensor {} is in another shard too", view.name),
            .found = other->second});
    }
  }
  for (const auto& [tensor, shard] : index) {
    const auto holder = found.find(tensor);
    if (holder != found.end() && holder->second == shard) continue;
    Fail({.where = index_path.string(),
          .what = fmt::format("tensor {} is not in the shard the index names", tensor),
          .found = holder == found.end() ? "in no shard" : holder->second,
          .wanted = shard});
  }
  return files;
}

}  // namespace

Checkpoint Checkpoint::Open(const std::filesystem::path& directory) {
  if (!fs::is_directory(directory)) {
    Fail({.where = directory.string(), .what = "not a directory", .wanted = "a Hugging Face checkpoint directory"});
  }
  if (!fs::exists(directory / "config.json")) {
    Fail({.where = directory.string(),
          .what = "config.json is missing",
          .wanted = "a Hugging Face checkpoint directory"});
  }
  Checkpoint checkpoint;
  checkpoint.directory_ = directory;
  checkpoint.config_ = ReadStrictJson(directory / "config.json");
  checkpoint.files_ = OpenWeights(directory);
  return checkpoint;
}

std::vector<SafetensorsFile> Checkpoint::OpenWeights(const fs::path& directory) {
  if (fs::exists(directory / kIndex) && !fs::exists(directory / kWhole)) return OpenShards(directory);
  if (!fs::exists(directory / kWhole)) {
    Fail({.where = directory.string(),
          .what = "no weights",
          .wanted = fmt::format("{} or {}", kWhole, kIndex),
          .mend = "Only safetensors weights are read"});
  }
  std::vector<SafetensorsFile> files;
  files.push_back(SafetensorsFile::Open(directory / kWhole));
  return files;
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  for (const SafetensorsFile& file : files_) {
    for (const TensorView& view : file.tensors()) names.push_back(view.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

const TensorView* Checkpoint::Find(std::string_view name) const {
  for (const SafetensorsFile& file : files_) {
    if (const TensorView* view = file.Find(name)) return view;
  }
  return nullptr;
}

}  // namespace nla
