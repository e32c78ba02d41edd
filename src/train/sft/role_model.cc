// Loading and cross-checking of what a supervised run starts from.
#include "train/sft/role_model.h"

#include <ATen/ops/eye.h>
#include <fmt/format.h>

#include "base/fail.h"
#include "base/file.h"
#include "model/tensor_io.h"
#include "nla/role_checkpoint.h"

namespace nla {
namespace {

void CheckBase(const Checkpoint& checkpoint, const DatasetSidecar& dataset) {
  const std::string where = checkpoint.directory().string();
  const ModelSpec spec = ParseModelSpec(checkpoint.config(), (checkpoint.directory() / "config.json").string());
  if (spec.d_model != dataset.d_model) {
    Fail({.where = where,
          .what = "model and dataset differ in width",
          .found = fmt::format("hidden_size {}", spec.d_model),
          .wanted = fmt::format("{} (the dataset's d_model)", dataset.d_model),
          .mend = "Train with the model that the activations were taken from"});
  }
  if (dataset.layer_index >= spec.n_blocks) {
    Fail({.where = where,
          .what = fmt::format("the dataset's layer {} is beyond the model", dataset.layer_index),
          .found = fmt::format("{} blocks", spec.n_blocks)});
  }
}

void CheckHash(const std::string& where, const char* what, const std::string& found, const std::string& wanted) {
  if (wanted.empty() || found.empty() || found == wanted) return;
  Fail({.where = where,
        .what = fmt::format("{} not the one that the dataset was made with", what),
        .found = found.substr(0, 16) + "…",
        .wanted = wanted.substr(0, 16) + "…",
        .mend = "Pass the model that the activations were taken from, or make the dataset again"});
}

// The base model's hash. A whole `init` has other weights and tells in its sidecar what it was made of.
std::string BaseWeightsHash(const Checkpoint& checkpoint, bool whole_init) {
  if (!whole_init) return checkpoint.WeightsHash();
  const bool known = fs::exists(checkpoint.directory() / "nla_meta.yaml");
  return known ? ReadModelSidecar(checkpoint.directory()).base_weights_hash : "";
}

// A model without a head of its own begins with the identity: its activations as they are.
at::Tensor FirstValueHead(const fs::path& init, int64_t d_model) {
  if (init.empty() || !FindValueHead(init)) return at::eye(d_model, at::kFloat);
  return LoadValueHead(init, d_model);
}

void CheckInit(const fs::path& init, Role role, const DatasetSidecar& dataset) {
  if (!fs::exists(init / "nla_meta.yaml")) return;
  const ModelSidecar sidecar = ReadModelSidecar(init);
  const std::string where = (init / "nla_meta.yaml").string();
  if (sidecar.role != role) {
    Fail({.where = where + ": role",
          .what = "init is of the other role",
          .wanted = role == Role::kActor ? "actor" : "critic"});
  }
  if (sidecar.layer && *sidecar.layer != dataset.layer_index) {
    Fail({.where = where + ": critic.extraction_layer_index",
          .found = fmt::format("{}", *sidecar.layer),
          .wanted = fmt::format("{} (the dataset's)", dataset.layer_index)});
  }
}

// Lays adapters over the decoder: those of `init`, or fresh ones.
void Adapt(Decoder& decoder, const TrainOptions& options, const fs::path& init) {
  if (init.empty() || !HasAdapters(init)) {
    if (options.lora_rank > 0) {
      decoder.AddAdapters({.rank = options.lora_rank, .alpha = options.lora_alpha},
                          static_cast<uint64_t>(options.seed));
    }
    return;
  }
  decoder.LoadAdapters(init);
  if (decoder.lora().rank != options.lora_rank || decoder.lora().alpha != options.lora_alpha) {
    FailUsage({.where = "lora",
               .what = fmt::format("the adapters of {} are of another shape", init.string()),
               .found = fmt::format("rank {}, alpha {}", options.lora_rank, options.lora_alpha),
               .wanted = fmt::format("rank {}, alpha {}", decoder.lora().rank, decoder.lora().alpha)});
  }
}

}  // namespace

DatasetSidecar ReadTrainingSidecar(const TrainOptions& options, Role role) {
  DatasetSidecar sidecar = ReadDatasetSidecar(options.dataset);
  const std::string where = SidecarPath(options.dataset).string();
  const std::string wanted = role == Role::kActor ? "av_sft" : "ar_sft";
  if (sidecar.stage != wanted) {
    Fail({.where = where + ": stage",
          .found = sidecar.stage,
          .wanted = wanted,
          .mend = "Make the training file with `nla build`"});
  }
  if (!sidecar.tokens) Fail({.where = where + ": tokens", .what = "missing", .mend = "Make it again with `nla build`"});
  if (options.layer >= 0 && options.layer != sidecar.layer_index) {
    FailUsage({.where = "layer",
               .found = fmt::format("{}", options.layer),
               .wanted = fmt::format("{} (the layer of {})", sidecar.layer_index, options.dataset)});
  }
  return sidecar;
}

TrainedModel TrainedOf(const RoleModel& model, const Optimizer& optimizer, at::ScalarType store) {
  return {.decoder = model.decoder,
          .optimizer = optimizer,
          .base_model = model.dataset.base_model,
          .text_side = model.weights,
          .store = store};
}

ModelSidecar SidecarOf(const RoleModel& model, const FieldList& options, const nlohmann::ordered_json& evaluation) {
  const DatasetSidecar& dataset = model.dataset;
  ModelSidecar sidecar;
  sidecar.role = model.role;
  sidecar.stage = dataset.stage;
  sidecar.base_checkpoint = dataset.base_model;
  sidecar.d_model = dataset.d_model;
  sidecar.tokens = dataset.tokens;
  sidecar.actor_template = dataset.actor_template;
  sidecar.critic_template = dataset.critic_template;
  sidecar.layer = model.layer;
  sidecar.trained_on = {dataset.dataset_id};
  if (!model.init.empty()) sidecar.parent_checkpoints = {model.init.string()};
  sidecar.created_by = fmt::format("nla train {}", model.role == Role::kActor ? "av" : "ar");
  sidecar.base_weights_hash = model.base_weights_hash;
  sidecar.tokenizer_hash = model.tokenizer.hash();
  const std::string chat_date = FindExtra(dataset, kChatDateFact);
  if (!chat_date.empty()) sidecar.extra.emplace_back(kChatDateFact, chat_date);
  for (const Field& field : options) sidecar.training.emplace_back(field.name, ValueText(field));
  for (const auto& [name, value] : evaluation.items()) sidecar.extra.emplace_back("heldout." + name, value.dump());
  return sidecar;
}

RoleModel LoadRoleModel(const TrainOptions& options, Role role) {
  const fs::path init = options.init;
  const bool whole_init = !init.empty() && !HasAdapters(init);
  const fs::path weights = whole_init ? init : fs::path(options.base_model);
  const Checkpoint checkpoint = Checkpoint::Open(weights);
  DatasetSidecar dataset = ReadTrainingSidecar(options, role);
  CheckBase(checkpoint, dataset);
  if (!init.empty()) CheckInit(init, role, dataset);
  const std::string base_weights_hash = BaseWeightsHash(checkpoint, whole_init);
  CheckHash(weights.string(), "the model is", base_weights_hash, FindExtra(dataset, "base_weights_hash"));
  Tokenizer tokenizer = Tokenizer::Load(weights);
  CheckHash((weights / "tokenizer.json").string(), "the tokenizer is", tokenizer.hash(),
            FindExtra(dataset, "tokenizer_hash"));
  const int64_t layer = dataset.layer_index;
  DecoderOptions decoder{.compute = ChooseDType(options.dtype), .blocks = {}, .with_head = role == Role::kActor};
  if (role == Role::kCritic) decoder.blocks = layer + 1;
  RoleModel model{.role = role,
                  .weights = weights,
                  .init = init,
                  .base_weights_hash = base_weights_hash,
                  .tokenizer = std::move(tokenizer),
                  .dataset = std::move(dataset),
                  .layer = layer,
                  .decoder = Decoder::Load(checkpoint, decoder),
                  .value_head = {}};
  Adapt(model.decoder, options, init);
  if (role == Role::kCritic) model.value_head = FirstValueHead(init, model.dataset.d_model);
  return model;
}

}  // namespace nla
