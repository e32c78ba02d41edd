// Checks and preparation of run directories.
#include "train/run_directory.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "train/checkpoint.h"

namespace nla {
namespace {

constexpr const char* kRunFiles[] = {"recipe.yaml", "metrics.jsonl",  kEventsName,   "checkpoints",      kFinalName,
                                     kBestName,     "rollouts.jsonl", "curves.html", kRolloutWeightsName};

}  // namespace

void CheckRunDirectory(const fs::path& run, StartMode mode) {
  const bool has_run =
      std::any_of(std::begin(kRunFiles), std::end(kRunFiles), [&](const char* name) { return fs::exists(run / name); });
  if (mode == StartMode::kFresh && has_run) {
    FailUsage({.where = run.string(),
               .what = fs::exists(run / kFinalName) ? "holds a finished run" : "holds an unfinished run",
               .mend = "Go on with --resume, start over with --replace, or name another out"});
  }
  if (mode == StartMode::kResume && !has_run) spdlog::info("{} holds no run yet: one begins", run.string());
}

void PrepareRunDirectory(const fs::path& run, StartMode mode) {
  if (mode == StartMode::kReplace) {
    for (const char* name : kRunFiles) fs::remove_all(run / name);
  }
  fs::create_directories(run);
}

void CheckSameRecipe(const fs::path& run, const RecipePair& recipes, std::span<const std::string_view> may_change) {
  const std::optional<fs::path> checkpoint = NewestCheckpoint(run);
  if (!checkpoint) return;
  LoadYaml(recipes.before, *checkpoint / "recipe.yaml");
  std::vector<std::string> changed = DifferingFields(recipes.now, recipes.before);
  std::erase_if(changed, [&](const std::string& name) {
    return std::find(may_change.begin(), may_change.end(), name) != may_change.end();
  });
  if (!changed.empty()) {
    FailUsage({.where = (*checkpoint / "recipe.yaml").string(),
               .what = fmt::format("the run began with another value of {}", fmt::join(changed, ", ")),
               .mend = "Resume with the same recipe, or start over with --replace"});
  }
}

std::string NameOfDType(at::ScalarType dtype) { return dtype == at::kBFloat16 ? "bf16" : "fp32"; }

}  // namespace nla
