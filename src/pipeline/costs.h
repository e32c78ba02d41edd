// What the stages of a recipe cost on a machine, reckoned from the base model's config.json: memory by what each stage
// holds, time by its multiplications. Nothing is loaded.
#pragma once

#include <ATen/core/ScalarType.h>

#include <optional>

#include "model/spec.h"
#include "pipeline/recipe.h"

namespace nla {

struct Machine {
  double memory_bytes = 0;  // what a process may take
  double flops = 0;         // multiplications and additions a second in matrix products of `compute`
  at::ScalarType compute = at::kFloat;

  // Of this machine: its memory, or less where the process's group has a limit; a second of matrix products.
  static Machine Measure(at::ScalarType compute);
};

// nullopt: not reckoned, since no model runs in the stage or the recipe does not say how much it reads.
struct StageCost {
  std::optional<double> memory_bytes;  // at its peak
  std::optional<double> seconds;
};

// The spec of the recipe's base model: of its directory, else of `pipeline.config`. An error names both where neither
// is there.
ModelSpec SpecOf(const PipelineRecipe& recipe);

// Of a stage of the recipe, under the --set assignments of its training. Checks the training's section: usage errors
// name the field.
StageCost CostOf(const Stage& stage, const PipelineRecipe& recipe, const ModelSpec& spec, const Machine& machine,
                 const std::vector<std::string>& assignments);

}  // namespace nla
