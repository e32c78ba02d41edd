// Everything a supervised run loads before its first step: the decoder with its adapters, the tokenizer, the dataset's
// facts, all checked against each other.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "data/dataset_sidecar.h"
#include "model/decoder.h"
#include "nla/sidecar.h"
#include "text/tokenizer.h"
#include "train/options.h"
#include "train/output.h"
#include "weights/checkpoint.h"

namespace nla {

struct RoleModel {
  Role role;
  std::filesystem::path weights;  // directory that the whole weights came from
  std::filesystem::path init;     // trained directory that the run starts from; empty for the base
  std::string base_weights_hash;  // of the base model; "" when `init` is whole and does not tell
  Tokenizer tokenizer;
  DatasetSidecar dataset;
  int64_t layer = 0;      // K
  Decoder decoder;        // an AR's holds blocks 0..K and no head
  at::Tensor value_head;  // AR: fp32 [D, D], identity unless `init` has one; undefined for an AV
};

// `options.dtype` is "fp32" or "bf16" by now, or "auto". Weights or a tokenizer that the dataset was not made with are
// refused, where its sidecar tells.
RoleModel LoadRoleModel(const TrainOptions& options, Role role);

// The model as output.h writes it.
TrainedModel TrainedOf(const RoleModel& model, const Optimizer& optimizer, at::ScalarType store);
// The sidecar's facts that both roles share: dataset, templates, tokens, the options as `training`, the evaluation.
ModelSidecar SidecarOf(const RoleModel& model, const FieldList& options, const nlohmann::ordered_json& evaluation);

// Reads and checks the sidecar of a training dataset of the role; K by `options.layer`.
DatasetSidecar ReadTrainingSidecar(const TrainOptions& options, Role role);

}  // namespace nla
