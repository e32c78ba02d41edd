// The sides of a pair, and pairs.
#include <fmt/format.h>

#include "base/fail.h"
#include "nla/inspect_kinds.h"
#include "nla/pair.h"
#include "nla/reconstructor.h"
#include "nla/verbalizer.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

// Without the base model only the files themselves can be checked.
void InspectAdapterFiles(const fs::path& path, Role role, Inspection& out) {
  out.Fact("checked", "the sidecar and the adapter files alone; give --base DIR to check all");
  ReadLoraSpec(path);
  if (role == Role::kCritic) SafetensorsFile::Open(path / "value_head.safetensors");
}

// Of every byte, also where loading leaves it out.
void CheckWeightsHash(const fs::path& path, const ModelSidecar& sidecar, Inspection& out) {
  const std::string hash = TrainedWeightsHash(path);
  out.Fact("weights_hash", hash);
  if (sidecar.weights_hash.empty() || sidecar.weights_hash == hash) return;
  Fail({.where = (path / "nla_meta.yaml").string() + ": nla_cpp.weights_hash",
        .what = "is not the weights'",
        .found = sidecar.weights_hash,
        .wanted = hash,
        .mend = "A file is damaged or of another run: copy the whole directory again"});
}

void AddSidecarFacts(const ModelSidecar& sidecar, Inspection& out) {
  out.Fact("stage", sidecar.stage);
  out.Fact("base_checkpoint", sidecar.base_checkpoint);
  out.Fact("d_model", sidecar.d_model);
  if (sidecar.layer) out.Fact("layer", *sidecar.layer);
  if (sidecar.injection_scale.kind == Scale::Kind::kNumber && sidecar.role == Role::kActor) {
    out.Fact("injection_scale", fmt::format("{}", sidecar.injection_scale.number));
  }
  if (sidecar.tokens) {
    out.Fact("marker", fmt::format("{} (id {}, between {} and {})", sidecar.tokens->injection_char,
                                   sidecar.tokens->injection_token_id, sidecar.tokens->injection_left_neighbor_id,
                                   sidecar.tokens->injection_right_neighbor_id));
  }
  out.Fact("created_by", sidecar.created_by);
}

}  // namespace

void InspectRole(const InspectSubject& subject, Inspection& out) {
  const fs::path& path = subject.path;
  const RoleSource source{path, subject.base, at::kBFloat16, {}};
  out.Try([&] {
    const ModelSidecar sidecar = ReadModelSidecar(path);
    out.kind = sidecar.role == Role::kActor ? "verbalizer" : "reconstructor";
    AddSidecarFacts(sidecar, out);
    out.Fact("weights", HasAdapters(path) ? "adapters" : "whole");
    if (HasAdapters(path) && source.base.empty()) {
      InspectAdapterFiles(path, sidecar.role, out);
    } else if (sidecar.role == Role::kActor) {
      Verbalizer::Load(source);
    } else {
      Reconstructor::Load(source);
    }
    CheckWeightsHash(path, sidecar, out);
  });
}

void InspectPair(const InspectSubject& subject, Inspection& out) {
  out.Try([&] {
    const PairLocation pair = FindPair(subject.path, subject.base);
    out.Fact("base_model", pair.manifest.base_name);
    out.Fact("base_directory", pair.base.string());
    out.Fact("layer", pair.manifest.layer);
    for (const char* role : {"av", "ar"}) {
      Inspection side;
      InspectRole({pair.directory / role, pair.base}, side);
      for (const auto& [name, value] : side.facts) out.Fact(fmt::format("{}.{}", role, name), value);
      out.problems.insert(out.problems.end(), side.problems.begin(), side.problems.end());
    }
  });
}

void InspectModelSidecar(const InspectSubject& subject, Inspection& out) {
  out.Try([&] {
    const fs::path folder = subject.path.parent_path();
    const ModelSidecar sidecar = ReadModelSidecar(folder.empty() ? "." : folder);
    out.Fact("role", sidecar.role == Role::kActor ? "actor (a verbalizer)" : "critic (a reconstructor)");
    out.Fact("schema_version", sidecar.schema_version);
    AddSidecarFacts(sidecar, out);
  });
}

}  // namespace nla
