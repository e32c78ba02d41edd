// The trained checkpoint on disk (formats.md section 2): adapters or whole weights, value head, sidecar, tokenizer
// files, config.json.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/fields.h"
#include "nla/sidecar.h"
#include "train/optimizer.h"
#include "train/sft/role_model.h"

namespace nla {

struct TrainedModel {
  const RoleModel& model;
  const Optimizer& optimizer;  // holds the masters that are written
  at::ScalarType store;        // number type on disk
};

// Fills an existing directory. `sidecar` has the role's own facts; the rest is filled in here.
void WriteTrainedModel(const std::filesystem::path& directory, const TrainedModel& trained, ModelSidecar sidecar);

// The sidecar's facts that both roles share: dataset, templates, tokens, the options as `training`, the evaluation.
ModelSidecar SidecarOf(const RoleModel& model, const FieldList& options, const nlohmann::ordered_json& evaluation);

}  // namespace nla
