// pair.yaml, and what makes two sides a pair.
#include "nla/pair.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/fail.h"
#include "base/file.h"
#include "data/activation_table.h"

namespace nla {
namespace {

// An actor need not say its layer; a critic must.
void CheckLayer(const fs::path& directory, const ModelSidecar& sidecar, int64_t layer) {
  if (sidecar.layer == layer || (sidecar.role == Role::kActor && !sidecar.layer)) return;
  Fail({.where = (directory / "nla_meta.yaml").string() + ": critic.extraction_layer_index",
        .what = "is another layer than the pair's",
        .found = sidecar.layer ? std::to_string(*sidecar.layer) : "nothing",
        .wanted = std::to_string(layer)});
}

// The directory's sidecar, which must be of this role.
ModelSidecar ReadSide(const fs::path& directory, Role role) {
  ModelSidecar sidecar = ReadModelSidecar(directory);
  if (sidecar.role != role) {
    Fail({.where = (directory / "nla_meta.yaml").string() + ": role",
          .what = "is of the other side of a pair",
          .wanted = role == Role::kActor ? "actor (a verbalizer)" : "critic (a reconstructor)"});
  }
  return sidecar;
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

PairManifest ReadManifest(const fs::path& path) {
  try {
    const YAML::Node root = YAML::Load(ReadFile(path, 1 << 20));
    const YAML::Node base = root["base_model"];
    if (root["kind"].as<std::string>("") != "nla_pair" || !base || !root["layer"]) {
      Fail({.where = path.string(), .what = "is not a pair's manifest", .wanted = "kind: nla_pair, base_model, layer"});
    }
    PairManifest manifest{base["name"].as<std::string>(""),
                          base["path"].as<std::string>(""),
                          base["weights_hash"].as<std::string>(""),
                          root["layer"].as<int64_t>(),
                          {}};
    if (const YAML::Node baselines = root["baselines"]) {
      manifest.baselines = Baselines{baselines["raw_variance"].as<double>(), baselines["mean_norm"].as<double>()};
      if (!(manifest.baselines->raw_variance > 0 && manifest.baselines->mean_norm > 0)) {
        Fail({.where = path.string() + ": baselines", .what = "are not sound", .wanted = "two numbers above 0"});
      }
    }
    return manifest;
  } catch (const YAML::Exception& error) {
    Fail({.where = path.string(), .what = fmt::format("is not a readable manifest ({})", error.what())});
  }
}

// What two sidecars must share, whatever weights they lie on.
void CheckSides(const PairParts& parts, const ModelSidecar& actor, const ModelSidecar& critic) {
  const std::string where = fmt::format("{} and {}", parts.actor.string(), parts.critic.string());
  if (actor.d_model != critic.d_model) {
    Fail({.where = where,
          .what = "are of different widths",
          .found = fmt::format("d_model {} and {}", actor.d_model, critic.d_model)});
  }
  if (!actor.tokenizer_hash.empty() && !critic.tokenizer_hash.empty() &&
      actor.tokenizer_hash != critic.tokenizer_hash) {
    Fail({.where = where, .what = "were trained with different tokenizers"});
  }
  if (!critic.layer || (actor.layer && *actor.layer != *critic.layer)) {
    const auto show = [](const std::optional<int64_t>& layer) { return layer ? std::to_string(*layer) : "no"; };
    Fail({.where = where,
          .what = "were trained on different layers",
          .found = fmt::format("layer {} and layer {}", show(actor.layer), show(critic.layer))});
  }
}

// Adapters hold only over the weights that they were trained on.
void CheckAdapterBase(const fs::path& side, const ModelSidecar& sidecar, const PairManifest& manifest) {
  if (!HasAdapters(side) || sidecar.base_weights_hash.empty()) return;
  if (sidecar.base_weights_hash == manifest.base_weights_hash) return;
  Fail({.where = (side / "nla_meta.yaml").string() + ": nla_cpp.base_weights_hash",
        .what = "was trained over other weights than those of the base model given",
        .found = sidecar.base_weights_hash.substr(0, 16) + "…",
        .wanted = manifest.base_weights_hash.substr(0, 16) + "…",
        .mend = "Pass the right --base"});
}

bool BothWhole(const fs::path& actor, const fs::path& critic) { return !HasAdapters(actor) && !HasAdapters(critic); }

// Hashes the base's weights and compares; `wanted` empty: there is nothing to compare with.
std::string CheckedBaseHash(const fs::path& base, const std::string& wanted, const std::string& names_it) {
  if (wanted.empty()) return "";
  const std::string hash = Checkpoint::Open(base).WeightsHash();
  if (hash == wanted) return hash;
  Fail({.where = base.string(),
        .what = fmt::format("is not the base model that {} names: its weights are others", names_it),
        .found = "weights " + hash.substr(0, 16) + "…",
        .wanted = wanted.substr(0, 16) + "…",
        .mend = "Over other weights the numbers would be wrong: make the base model again with `nla convert` (for "
                "the demo pair: tools/base_model.sh), or pass the right --base"});
}

// What the two sidecars say of their base.
PairManifest ManifestOf(const ModelSidecar& actor, const ModelSidecar& critic) {
  return {.base_name = critic.base_checkpoint.empty() ? actor.base_checkpoint : critic.base_checkpoint,
          .base_path = {},
          .base_weights_hash = critic.base_weights_hash.empty() ? actor.base_weights_hash : critic.base_weights_hash,
          .layer = *critic.layer,
          .baselines = {}};
}

}  // namespace

void WritePairManifest(const fs::path& path, const PairManifest& manifest) {
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

PairLocation FindPair(const fs::path& directory, const fs::path& base_override) {
  const fs::path path = directory / "pair.yaml";
  PairLocation pair{.directory = directory,
                    .actor = directory / "av",
                    .critic = directory / "ar",
                    .base = {},
                    .manifest = ReadManifest(path),
                    .base_hash = {}};
  CheckLayer(pair.actor, ReadSide(pair.actor, Role::kActor), pair.manifest.layer);
  CheckLayer(pair.critic, ReadSide(pair.critic, Role::kCritic), pair.manifest.layer);
  const fs::path named = pair.manifest.base_path;
  pair.base = !base_override.empty() ? base_override : named.empty() ? named : directory / named;
  if (!fs::exists(pair.base / "config.json")) {
    if (base_override.empty() && BothWhole(pair.actor, pair.critic)) {
      pair.base.clear();
      return pair;
    }
    Fail({.where = path.string() + ": base_model.path",
          .what = fmt::format("the base model {} is not there", pair.manifest.base_name),
          .found = pair.base.string(),
          .mend = "Pass --base DIR, or make it with `nla convert` (for the demo pair: tools/base_model.sh)"});
  }
  pair.base_hash = CheckedBaseHash(pair.base, pair.manifest.base_weights_hash, path.string());
  return pair;
}

PairLocation JoinSides(const fs::path& actor, const fs::path& critic, const fs::path& base) {
  const ModelSidecar actor_sidecar = ReadSide(actor, Role::kActor);
  const ModelSidecar critic_sidecar = ReadSide(critic, Role::kCritic);
  CheckSides({actor, critic, base, {}}, actor_sidecar, critic_sidecar);
  PairLocation pair{.directory = {},
                    .actor = actor,
                    .critic = critic,
                    .base = base,
                    .manifest = ManifestOf(actor_sidecar, critic_sidecar),
                    .base_hash = {}};
  pair.manifest.base_path = base;
  if (base.empty()) return pair;
  pair.base_hash = CheckedBaseHash(base, pair.manifest.base_weights_hash, (critic / "nla_meta.yaml").string());
  return pair;
}

const fs::path& RequireBase(const PairLocation& pair, const std::string& what) {
  if (!pair.base.empty()) return pair.base;
  FailUsage({.where = pair.directory.empty() ? pair.actor.string() : pair.directory.string(),
             .what = fmt::format("{} needs the base model, which neither side holds", what),
             .wanted = pair.manifest.base_name,
             .mend = "Pass --base DIR"});
}

PairManifest AssemblePair(const PairParts& parts, const fs::path& out, bool replace) {
  const ModelSidecar actor = ReadSide(parts.actor, Role::kActor);
  const ModelSidecar critic = ReadSide(parts.critic, Role::kCritic);
  CheckSides(parts, actor, critic);
  PairManifest manifest = ManifestOf(actor, critic);
  if (!parts.base.empty()) {
    manifest.base_path = fs::proximate(fs::absolute(parts.base), fs::absolute(out));
    manifest.base_weights_hash = Checkpoint::Open(parts.base).WeightsHash();
    CheckAdapterBase(parts.actor, actor, manifest);
    CheckAdapterBase(parts.critic, critic, manifest);
  } else if (!BothWhole(parts.actor, parts.critic)) {
    FailUsage({.where = "--base",
               .what = "is missing: adapters work over their base model alone",
               .wanted = fmt::format("the directory of {}", manifest.base_name)});
  }
  if (!parts.heldout.empty()) manifest.baselines = BaselinesOf(parts.heldout, critic.d_model);
  AtomicDirectory directory(out, replace);
  CopyRole(parts.actor, directory.temporary_path() / "av");
  CopyRole(parts.critic, directory.temporary_path() / "ar");
  WritePairManifest(directory.temporary_path() / "pair.yaml", manifest);
  directory.Commit();
  return manifest;
}

}  // namespace nla
