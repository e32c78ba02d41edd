// Writing trained checkpoints.
#include "train/output.h"

#include "base/file.h"
#include "model/spec.h"
#include "model/tensor_io.h"
#include "nla/checkpoint_files.h"
#include "nla/role_checkpoint.h"
#include "weights/checkpoint.h"

namespace nla {
namespace {

constexpr const char* kValueHead = "value_head.weight";

}  // namespace

void WriteTrainedModel(const fs::path& directory, const TrainedModel& trained, ModelSidecar sidecar) {
  std::vector<NamedTensor> masters;
  for (const Trainable& trainable : trained.optimizer.trainables()) {
    if (trainable.name == kValueHead) {
      WriteTensors(directory / "value_head.safetensors", {{"weight", trainable.master}}, trained.store);
    } else {
      masters.push_back({trainable.name, trainable.master});
    }
  }
  if (trained.decoder.lora().rank > 0) {
    WriteAdapters(directory, trained.decoder.lora(), trained.base_model, masters, trained.store);
  } else {
    WriteTensors(directory / "model.safetensors", masters, trained.store);
  }
  if (!trained.text_side.empty()) {
    WriteConfig(CutConfig(Checkpoint::Open(trained.text_side).config(), trained.decoder.blocks()), directory);
    CopyTextFiles(trained.text_side, directory);
  }
  sidecar.weights_hash = TrainedWeightsHash(directory);
  WriteModelSidecar(directory, sidecar);
}

}  // namespace nla
