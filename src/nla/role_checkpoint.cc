// Loading and checking of AV and AR directories.
#include "nla/role_checkpoint.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "model/tensor_io.h"

namespace nla {
namespace {

// The directory that has the whole weights and the tokenizer: the role's own, or its base.
std::filesystem::path WeightsDirectory(const RoleSource& source) {
  if (!HasAdapters(source.directory)) return source.directory;
  if (source.base.empty()) {
    FailUsage({.where = source.directory.string(),
               .what = "holds adapters alone, and no base model is given",
               .mend = "Pass --base DIR"});
  }
  return source.base;
}

void CheckFacts(const RoleSource& source, const ModelSidecar& sidecar, Role role) {
  const std::string where = (source.directory / "nla_meta.yaml").string();
  if (sidecar.role != role) {
    Fail({.where = where + ": role",
          .what = "is of the other side of a pair",
          .wanted = role == Role::kActor ? "actor (a verbalizer)" : "critic (a reconstructor)"});
  }
  if (role == Role::kCritic && !sidecar.layer) {
    Fail({.where = where + ": critic.extraction_layer_index", .what = "is missing", .wanted = "K, 0-based"});
  }
}

void CheckTokenizer(const RoleSource& source, const ModelSidecar& sidecar, const Tokenizer& tokenizer) {
  if (sidecar.tokenizer_hash.empty() || sidecar.tokenizer_hash == tokenizer.hash()) return;
  Fail({.where = (source.directory / "nla_meta.yaml").string() + ": nla_cpp.tokenizer_hash",
        .what = "was trained with another tokenizer",
        .found = tokenizer.hash().substr(0, 16) + "… (the tokenizer.json in use)",
        .wanted = sidecar.tokenizer_hash.substr(0, 16) + "…",
        .mend = "Use the base model that the pair names"});
}

void CheckBase(const RoleSource& source, const ModelSidecar& sidecar, const Checkpoint& checkpoint) {
  if (!HasAdapters(source.directory) || sidecar.base_weights_hash.empty()) return;
  const std::string hash = checkpoint.WeightsHash();
  if (hash == sidecar.base_weights_hash) return;
  Fail({.where = source.base.string(),
        .what = fmt::format("is not the base model that {} was trained on", source.directory.string()),
        .found = "weights " + hash.substr(0, 16) + "…",
        .wanted = sidecar.base_weights_hash.substr(0, 16) + "…",
        .mend = "Adapters over other weights give other numbers: make the base model again, or pass the right --base"});
}

at::Tensor LoadValueHead(const std::filesystem::path& directory, int64_t d_model) {
  const std::filesystem::path path = directory / "value_head.safetensors";
  const SafetensorsFile file = SafetensorsFile::Open(path);
  const TensorView* view = file.Find("weight");
  if (view == nullptr) Fail({.where = path.string(), .what = "tensor weight is missing"});
  return ToTensor(*view, {d_model, d_model}, at::kFloat, path.string());
}

}  // namespace

RoleCheckpoint LoadRole(const RoleSource& source, Role role) {
  ModelSidecar sidecar = ReadModelSidecar(source.directory);
  CheckFacts(source, sidecar, role);
  const std::filesystem::path weights = WeightsDirectory(source);
  const Checkpoint checkpoint = Checkpoint::Open(weights);
  CheckBase(source, sidecar, checkpoint);
  DecoderOptions options{.compute = source.compute, .with_head = role == Role::kActor};
  if (role == Role::kCritic) options.blocks = *sidecar.layer + 1;
  RoleCheckpoint loaded{
      std::move(sidecar), Tokenizer::Load(weights), ChatFormat::Load(weights), Decoder::Load(checkpoint, options), {}};
  const int64_t d_model = loaded.decoder.spec().d_model;
  if (loaded.sidecar.d_model != d_model) {
    Fail({.where = (source.directory / "nla_meta.yaml").string() + ": d_model",
          .found = std::to_string(loaded.sidecar.d_model),
          .wanted = fmt::format("{} (hidden_size of {})", d_model, weights.string())});
  }
  CheckTokenizer(source, loaded.sidecar, loaded.tokenizer);
  if (HasAdapters(source.directory)) loaded.decoder.LoadAdapters(source.directory);
  if (role == Role::kCritic) loaded.value_head = LoadValueHead(source.directory, d_model);
  return loaded;
}

}  // namespace nla
