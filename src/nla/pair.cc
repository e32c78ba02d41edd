// pair.yaml.
#include "nla/pair.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/fail.h"
#include "base/file.h"

namespace nla {

PairLocation FindPair(const fs::path& directory, const fs::path& base_override) {
  const fs::path path = directory / "pair.yaml";
  PairLocation pair{directory, {}, {}};
  try {
    const YAML::Node root = YAML::Load(ReadFile(path, 1 << 20));
    const YAML::Node base = root["base_model"];
    if (root["kind"].as<std::string>("") != "nla_pair" || !base || !root["layer"]) {
      Fail({.where = path.string(), .what = "is not a pair's manifest", .wanted = "kind: nla_pair, base_model, layer"});
    }
    pair.manifest = {base["name"].as<std::string>(""), base["path"].as<std::string>(""),
                     base["weights_hash"].as<std::string>(""), root["layer"].as<int64_t>()};
  } catch (const YAML::Exception& error) {
    Fail({.where = path.string(), .what = fmt::format("is not readable YAML ({})", error.what())});
  }
  const fs::path named = pair.manifest.base_path;
  pair.base = !base_override.empty() ? base_override : named.is_absolute() ? named : directory / named;
  if (!fs::exists(pair.base / "config.json")) {
    Fail({.where = path.string() + ": base_model.path",
          .what = fmt::format("the base model {} is not there", pair.manifest.base_name),
          .found = pair.base.string(),
          .mend = "Pass --base DIR, or make it with `nla convert` (for the demo pair: tools/base_model.sh)"});
  }
  return pair;
}

void WritePairManifest(const fs::path& directory, const PairManifest& manifest) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "kind" << YAML::Value << "nla_pair";
  out << YAML::Key << "base_model" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << manifest.base_name;
  out << YAML::Key << "path" << YAML::Value << manifest.base_path.string();
  out << YAML::Key << "weights_hash" << YAML::Value << manifest.base_weights_hash << YAML::EndMap;
  out << YAML::Key << "layer" << YAML::Value << manifest.layer << YAML::EndMap;
  WriteFileAtomically(directory / "pair.yaml", std::string(out.c_str()) + "\n");
}

}  // namespace nla
