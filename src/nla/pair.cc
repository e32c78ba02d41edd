// pair.yaml.
#include "nla/pair.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/fail.h"
#include "base/file.h"
#include "data/activation_table.h"

namespace nla {
namespace {

void WriteManifest(const fs::path& path, const PairManifest& manifest) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "kind" << YAML::Value << "nla_pair";
  out << YAML::Key << "base_model" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << manifest.base_name;
  out << YAML::Key << "path" << YAML::Value << manifest.base_path.string();
  out << YAML::Key << "weights_hash" << YAML::Value << manifest.base_weights_hash << YAML::EndMap;
  out << YAML::Key << "layer" << YAML::Value << manifest.layer;
  if (manifest.baselines) {
    out << YAML::Key << "baselines" << YAML::Value << YAML::BeginMap;
    out << YAML::Key << "raw_variance" << YAML::Value << manifest.baselines->raw_variance;
    out << YAML::Key << "mean_norm" << YAML::Value << manifest.baselines->mean_norm << YAML::EndMap;
  }
  out << YAML::EndMap;
  WriteFileAtomically(path, std::string(out.c_str()) + "\n");
}

// The files that make a role: all of a whole checkpoint; of adapters only their own.
void CopyRole(const fs::path& from, const fs::path& to) {
  static constexpr const char* kOwnFiles[] = {"adapter_config.json", "adapter_model.safetensors",
                                              "value_head.safetensors", "nla_meta.yaml"};
  fs::create_directories(to);
  if (!HasAdapters(from)) {
    fs::copy(from, to, fs::copy_options::recursive);
    return;
  }
  for (const char* name : kOwnFiles) {
    if (fs::exists(from / name)) fs::copy_file(from / name, to / name);
  }
}

Baselines BaselinesOf(const fs::path& parquet, int64_t d_model) {
  constexpr int64_t kMostRows = 4096;
  ActivationReader reader = ActivationReader::Open(parquet);
  if (reader.d_model() != d_model) {
    Fail({.where = parquet.string(),
          .what = "activations of another width",
          .found = std::to_string(reader.d_model()),
          .wanted = std::to_string(d_model)});
  }
  std::vector<float> rows;
  for (const ActivationRow& row : reader.Next(kMostRows)) {
    rows.insert(rows.end(), row.activation.begin(), row.activation.end());
  }
  return ComputeBaselines(rows, d_model);
}

}  // namespace

PairLocation FindPair(const fs::path& directory, const fs::path& base_override) {
  const fs::path path = directory / "pair.yaml";
  PairLocation pair{directory, {}, {}};
  try {
    const YAML::Node root = YAML::Load(ReadFile(path, 1 << 20));
    const YAML::Node base = root["base_model"];
    if (root["kind"].as<std::string>("") != "nla_pair" || !base || !root["layer"]) {
      Fail({.where = path.string(), .what = "is not a pair's manifest", .wanted = "kind: nla_pair, base_model, layer"});
    }
    pair.manifest = {base["name"].as<std::string>(""),
                     base["path"].as<std::string>(""),
                     base["weights_hash"].as<std::string>(""),
                     root["layer"].as<int64_t>(),
                     {}};
    if (const YAML::Node baselines = root["baselines"]) {
      pair.manifest.baselines = Baselines{baselines["raw_variance"].as<double>(), baselines["mean_norm"].as<double>()};
    }
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

void AssemblePair(const PairParts& parts, const fs::path& out, bool replace) {
  const ModelSidecar actor = ReadModelSidecar(parts.actor);
  const ModelSidecar critic = ReadModelSidecar(parts.critic);
  const std::string where = fmt::format("{} and {}", parts.actor.string(), parts.critic.string());
  if (actor.role != Role::kActor || critic.role != Role::kCritic) {
    Fail({.where = where, .what = "are not a verbalizer and a reconstructor, in this order"});
  }
  if (actor.d_model != critic.d_model || actor.base_weights_hash != critic.base_weights_hash) {
    Fail({.where = where, .what = "were trained on different base models"});
  }
  if (!critic.layer || (actor.layer && *actor.layer != *critic.layer)) {
    Fail({.where = where, .what = "were trained on different layers"});
  }
  PairManifest manifest{.base_name = critic.base_checkpoint,
                        .base_path = fs::proximate(fs::absolute(parts.base), fs::absolute(out)),
                        .base_weights_hash = Checkpoint::Open(parts.base).WeightsHash(),
                        .layer = *critic.layer,
                        .baselines = {}};
  if (!parts.heldout.empty()) manifest.baselines = BaselinesOf(parts.heldout, critic.d_model);
  AtomicDirectory directory(out, replace);
  CopyRole(parts.actor, directory.temporary_path() / "av");
  CopyRole(parts.critic, directory.temporary_path() / "ar");
  WriteManifest(directory.temporary_path() / "pair.yaml", manifest);
  directory.Commit();
}

}  // namespace nla
