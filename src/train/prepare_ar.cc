// Cutting a base model down to an untrained reconstructor.
#include "train/prepare_ar.h"

#include <ATen/ops/eye.h>
#include <fmt/format.h>

#include "base/fail.h"
#include "base/file.h"
#include "model/spec.h"
#include "model/tensor_io.h"
#include "nla/checkpoint_files.h"
#include "nla/prompt.h"
#include "nla/role_checkpoint.h"
#include "weights/checkpoint.h"
#include "weights/model_name.h"

namespace nla {
namespace {

std::string ReadTemplate(const fs::path& path) {
  if (path.empty()) return std::string(kDefaultCriticTemplate);
  std::string text = ReadFile(path);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// The first tensors of the checkpoint, as they are.
std::vector<TensorView> CutWeights(const Checkpoint& checkpoint, const ModelSpec& spec, int64_t blocks) {
  std::vector<TensorView> views;
  for (const TensorFacts& facts : TensorsOf(spec, blocks, false)) {
    TensorView view = FindTensor(checkpoint, spec, facts.name);
    if (view.shape != facts.shape) {
      Fail({.where = fmt::format("{}: {}", checkpoint.directory().string(), view.name),
            .what = "shape",
            .found = fmt::format("[{}]", fmt::join(view.shape, ", ")),
            .wanted = fmt::format("[{}]", fmt::join(facts.shape, ", "))});
    }
    view.name = facts.name;
    views.push_back(std::move(view));
  }
  return views;
}

ModelSidecar InitSidecar(const PrepareArOptions& options, const ModelSpec& spec, const Checkpoint& checkpoint) {
  const Tokenizer tokenizer = Tokenizer::Load(options.model);
  ModelSidecar sidecar;
  sidecar.role = Role::kCritic;
  sidecar.stage = "critic_init";
  sidecar.base_checkpoint = options.base_model.empty() ? ModelName(options.model) : options.base_model;
  sidecar.d_model = spec.d_model;
  sidecar.layer = options.layer;
  sidecar.actor_template = kDefaultActorTemplate;
  sidecar.critic_template = ReadTemplate(options.critic_template);
  sidecar.tokens =
      ChooseMarker(tokenizer, ChatFormat::Load(options.model), sidecar.actor_template, sidecar.critic_template);
  sidecar.created_by = "nla prepare-ar";
  sidecar.base_weights_hash = checkpoint.WeightsHash();
  sidecar.tokenizer_hash = tokenizer.hash();
  return sidecar;
}

}  // namespace

PrepareArReport PrepareAr(const PrepareArOptions& options) {
  const Checkpoint checkpoint = Checkpoint::Open(options.model);
  const ModelSpec spec = ParseModelSpec(checkpoint.config(), (options.model / "config.json").string());
  if (options.layer < 0 || options.layer >= spec.n_blocks) {
    FailUsage({.where = "--layer",
               .what = "no such block",
               .found = fmt::format("{}", options.layer),
               .wanted = fmt::format("0 to {} ({} has {} blocks)", spec.n_blocks - 1, options.model.string(),
                                     spec.n_blocks)});
  }
  PrepareArReport report{
      .blocks = options.layer + 1, .d_model = spec.d_model, .parameters = spec.d_model * spec.d_model};
  const std::vector<TensorView> weights = CutWeights(checkpoint, spec, report.blocks);
  for (const TensorView& view : weights) report.parameters += view.numel();
  AtomicDirectory directory(options.out, options.replace);
  const fs::path& out = directory.temporary_path();
  WriteSafetensors(out / "model.safetensors", weights, {{"format", "pt"}});
  WriteTensors(out / "value_head.safetensors", {{"weight", at::eye(spec.d_model, at::kFloat)}}, at::kFloat);
  ModelSidecar sidecar = InitSidecar(options, spec, checkpoint);
  sidecar.weights_hash = TrainedWeightsHash(out);
  WriteModelSidecar(out, sidecar);
  WriteConfig(CutConfig(checkpoint.config(), report.blocks), out);
  CopyTextFiles(options.model, out);
  directory.Commit();
  return report;
}

}  // namespace nla
