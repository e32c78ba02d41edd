// The folder that a training run works in: recipe.yaml, metrics.jsonl, tensorboard/, checkpoints/, and final/ when the
// run is done; of a reinforcement-learning run also best/, rollouts.jsonl and curves.html.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/fields.h"
#include "train/options.h"

namespace nla {

inline constexpr const char* kFinalName = "final";
inline constexpr const char* kBestName = "best";
inline constexpr const char* kEventsName = "tensorboard";
inline constexpr const char* kRolloutWeightsName = "rollout_weights";

// Refuses a directory with an earlier run for kFresh. To be called before anything long.
void CheckRunDirectory(const std::filesystem::path& run, StartMode mode);
// Makes the directory; for kReplace the earlier run is removed. To be called when the inputs have proved sound.
void PrepareRunDirectory(const std::filesystem::path& run, StartMode mode);

struct RecipePair {
  FieldList now;
  FieldList before;  // of another object of the same type, which is filled from the newest checkpoint
};
// Refuses to continue a run whose recipe said otherwise, but for the fields that may change: the result would be of
// neither recipe.
void CheckSameRecipe(const std::filesystem::path& run, const RecipePair& recipes,
                     std::span<const std::string_view> may_change);

// "bf16" or "fp32", as recipes write it.
std::string NameOfDType(at::ScalarType dtype);

}  // namespace nla
