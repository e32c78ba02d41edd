// Loading, checking and writing of the pair.
#include "train/grpo/pair_model.h"

#include <fmt/format.h>

#include <cmath>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "model/tensor_io.h"
#include "train/options.h"
#include "train/output.h"

namespace nla {
namespace {

void Refuse(const std::string& where, const std::string& found, const std::string& wanted, const std::string& mend) {
  if (found != wanted) Fail({.where = where, .found = found, .wanted = wanted, .mend = mend});
}

DatasetSidecar ReadRlSidecar(const RlOptions& options, const PairLocation& location, const ModelSidecar& actor) {
  DatasetSidecar dataset = ReadDatasetSidecar(options.dataset);
  const std::string where = SidecarPath(options.dataset).string();
  if (dataset.stage != "rl" && dataset.stage != "av_sft") {
    Fail({.where = where + ": stage",
          .found = dataset.stage,
          .wanted = "rl or av_sft",
          .mend = "Make the training file with `nla build --stage rl`"});
  }
  if (!dataset.tokens) Fail({.where = where + ": tokens", .what = "missing", .mend = "Make it again with `nla build`"});
  const std::string again = "Build the dataset with the model and the actor template of the pair";
  Refuse(where + ": extraction.d_model", fmt::format("{}", dataset.d_model), fmt::format("{}", actor.d_model), again);
  Refuse(where + ": extraction.layer_index", fmt::format("{}", dataset.layer_index),
         fmt::format("{}", location.manifest.layer), "Extract the activations at the pair's layer");
  Refuse(where + ": prompt_templates.actor", dataset.actor_template, actor.actor_template, again);
  Refuse(where + ": tokens.injection_token_id", fmt::format("{}", dataset.tokens->injection_token_id),
         fmt::format("{}", actor.tokens->injection_token_id), again);
  const std::string base = FindExtra(dataset, "base_weights_hash");
  if (!base.empty() && !location.manifest.base_weights_hash.empty()) {
    Refuse(where + ": nla_cpp.base_weights_hash", base, location.manifest.base_weights_hash,
           "Extract the activations from the pair's base model");
  }
  return dataset;
}

// The reward is taken at norm sqrt(d) (formats.md section 1); sidecars write it with few digits.
void CheckScale(const PairLocation& location, const ModelSidecar& critic) {
  const double wanted = std::sqrt(static_cast<double>(critic.d_model));
  const std::optional<double> scale = critic.mse_scale.Resolve(critic.d_model);
  if (scale && std::abs(*scale - wanted) <= 1e-3 * wanted) return;
  Fail({.where = (location.critic / "nla_meta.yaml").string() + ": extraction.mse_scale",
        .what = "is not supported",
        .found = scale ? fmt::format("{}", *scale) : "null",
        .wanted = fmt::format("sqrt_d_model ({:.4f})", wanted)});
}

// The base model as far as the sides with adapters need it; nullopt when none has any.
std::optional<Decoder> LoadBase(const PairLocation& location, at::ScalarType compute) {
  const bool actor = HasAdapters(location.actor);
  if (!actor && !HasAdapters(location.critic)) return std::nullopt;
  DecoderOptions options{.compute = compute, .blocks = {}, .with_head = actor};
  if (!actor) options.blocks = location.manifest.layer + 1;
  return Decoder::Load(Checkpoint::Open(location.base), options);
}

ModelSidecar TrainedSidecar(const TrainedPair& trained, const RoleCheckpoint& role, const fs::path& parent) {
  ModelSidecar sidecar = role.sidecar;
  sidecar.schema_version = 2;
  sidecar.stage = "rl";
  sidecar.layer = trained.model.location.manifest.layer;
  sidecar.trained_on = {trained.model.dataset.dataset_id};
  sidecar.parent_checkpoints = {parent.string()};
  sidecar.created_at.clear();
  sidecar.created_by = "nla train rl";
  sidecar.training.clear();
  for (const Field& field : trained.options) sidecar.training.emplace_back(field.name, ValueText(field));
  sidecar.training.emplace_back("step", fmt::format("{}", trained.step));
  std::erase_if(sidecar.extra, [](const auto& fact) { return fact.first.starts_with("heldout."); });
  for (const auto& [name, value] : trained.evaluation.items()) {
    sidecar.extra.emplace_back("heldout." + name, value.dump());
  }
  return sidecar;
}

}  // namespace

PairModel LoadPairModel(const RlOptions& options) {
  const at::ScalarType compute = ChooseDType(options.dtype);
  PairLocation location = FindPair(options.pair, options.base_model);
  const std::optional<Decoder> base = LoadBase(location, compute);
  RoleSource actor_source = location.Actor(compute);
  RoleSource critic_source = location.Critic(compute);
  if (base && base->blocks() == base->spec().n_blocks) actor_source.loaded_base = &*base;
  if (base) critic_source.loaded_base = &*base;
  RoleCheckpoint actor = LoadRole(actor_source, Role::kActor);
  RoleCheckpoint critic = LoadRole(critic_source, Role::kCritic);
  CheckScale(location, critic.sidecar);
  DatasetSidecar dataset = ReadRlSidecar(options, location, actor.sidecar);
  std::optional<Decoder> reference;
  if (options.objective.kl_coef > 0 || options.stop.kl > 0) {
    reference = std::move(LoadRole(actor_source, Role::kActor).decoder);
  }
  std::vector<ChatMessage> messages = {{"user", FillActorTemplate(actor.sidecar.actor_template, kInjectPlaceholder)}};
  ActorPrompt prompt = BuildActorPrompt(actor.tokenizer, actor.chat, messages, *actor.sidecar.tokens);
  std::vector<TokenId> suffix = CriticSuffixIds(critic.tokenizer, critic.sidecar.critic_template);
  std::string began_with = Sha256Hex(TrainedWeightsHash(location.actor) + TrainedWeightsHash(location.critic));
  return {.location = std::move(location),
          .dataset = std::move(dataset),
          .actor = std::move(actor),
          .critic = std::move(critic),
          .reference = std::move(reference),
          .messages = std::move(messages),
          .prompt = std::move(prompt),
          .critic_suffix = std::move(suffix),
          .began_with = std::move(began_with)};
}

void WriteTrainedPair(const fs::path& out, const TrainedPair& trained) {
  const PairModel& model = trained.model;
  AtomicDirectory directory(out, true);
  const auto write = [&](const char* name, const RoleCheckpoint& role, const Optimizer& optimizer,
                         const fs::path& parent) {
    const fs::path side = directory.temporary_path() / name;
    fs::create_directories(side);
    WriteTrainedModel(side,
                      {.decoder = role.decoder,
                       .optimizer = optimizer,
                       .base_model = role.sidecar.base_checkpoint,
                       .text_side = HasAdapters(parent) ? fs::path() : parent,
                       .store = trained.store},
                      TrainedSidecar(trained, role, parent));
  };
  write("av", model.actor, trained.actor, model.location.actor);
  write("ar", model.critic, trained.critic, model.location.critic);
  PairManifest manifest = model.location.manifest;
  if (!model.location.base.empty()) {
    manifest.base_path = fs::proximate(fs::absolute(model.location.base), fs::absolute(out));
  }
  WritePairManifest(directory.temporary_path() / "pair.yaml", manifest);
  directory.Commit();
}

}  // namespace nla
