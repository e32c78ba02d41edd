// What a reinforcement-learning run loads and writes: both sides of a pair as they are trained, the reference policy,
// the facts of the dataset, all checked against each other; and the trained pair on disk.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset_sidecar.h"
#include "nla/injection.h"
#include "nla/pair.h"
#include "nla/prompt.h"
#include "train/grpo/options.h"

namespace nla {

struct PairModel {
  PairLocation location;
  DatasetSidecar dataset;
  RoleCheckpoint actor, critic;
  // The verbalizer as the run began: over the same memory where it has adapters (its frozen ones are small), else a
  // copy of all weights. Absent where nothing asks for the KL.
  std::optional<Decoder> reference;
  std::vector<ChatMessage> messages;  // of every prompt
  ActorPrompt prompt;                 // the same as ids
  std::vector<TokenId> critic_suffix;
  std::string began_with;  // hash of both sides' weights

  InjectionOptions injection() const { return {actor.sidecar.injection_rule, actor.sidecar.injection_scale}; }
  int64_t d_model() const { return actor.sidecar.d_model; }
};

// `options.dtype` as ChooseDType takes it. Errors name what does not fit: a dataset of another model, layer, marker or
// prompt; a reconstructor with another mse_scale than sqrt_d_model.
PairModel LoadPairModel(const RlOptions& options);

struct TrainedPair {
  const PairModel& model;
  const Optimizer& actor;  // the masters
  const Optimizer& critic;
  FieldList options;  // for the sidecars
  int64_t step = 0;
  nlohmann::ordered_json evaluation;  // of this step; may be null
  at::ScalarType store = at::kBFloat16;
};

// av/, ar/ and pair.yaml at `out`, whole or not at all; what is there is replaced.
void WriteTrainedPair(const std::filesystem::path& out, const TrainedPair& trained);

}  // namespace nla
