// Writing trained checkpoints.
#include "train/sft/output.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "model/spec.h"
#include "model/tensor_io.h"
#include "nla/checkpoint_files.h"
#include "nla/role_checkpoint.h"
#include "weights/checkpoint.h"

namespace nla {
namespace {

constexpr const char* kValueHead = "value_head.weight";

}  // namespace

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
  const std::string chat_date = FindExtra(dataset, kChatDateFact);
  if (!chat_date.empty()) sidecar.extra.emplace_back(kChatDateFact, chat_date);
  for (const Field& field : options) sidecar.training.emplace_back(field.name, ValueText(field));
  for (const auto& [name, value] : evaluation.items()) sidecar.extra.emplace_back("heldout." + name, value.dump());
  return sidecar;
}

void WriteTrainedModel(const fs::path& directory, const TrainedModel& trained, ModelSidecar sidecar) {
  const RoleModel& model = trained.model;
  const Checkpoint checkpoint = Checkpoint::Open(model.weights);
  std::vector<NamedTensor> masters;
  for (const Trainable& trainable : trained.optimizer.trainables()) {
    if (trainable.name == kValueHead) {
      WriteTensors(directory / "value_head.safetensors", {{"weight", trainable.master}}, trained.store);
    } else {
      masters.push_back({trainable.name, trainable.master});
    }
  }
  if (model.decoder.lora().rank > 0) {
    WriteAdapters(directory, model.decoder.lora(), model.dataset.base_model, masters, trained.store);
  } else {
    WriteTensors(directory / "model.safetensors", masters, trained.store);
  }
  WriteConfig(CutConfig(checkpoint.config(), model.decoder.blocks()), directory);
  CopyTextFiles(model.weights, directory);
  sidecar.base_weights_hash = model.base_weights_hash;
  sidecar.weights_hash = TrainedWeightsHash(directory);
  sidecar.tokenizer_hash = model.tokenizer.hash();
  WriteModelSidecar(directory, sidecar);
}

}  // namespace nla
