#include "train/inspect_run.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "base/file.h"
#include "nla/sidecar.h"
#include "train/checkpoint.h"
#include "train/grpo/run.h"
#include "train/run_directory.h"
#include "train/sft/run.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

// Sections of a recipe that training reads, and the check that it makes of each before it begins.
struct Section {
  const char* name;
  void (*check)(const fs::path& recipe, const std::string& section, Inspection& out);
};

void AddPlace(const std::string& name, const std::string& path, Inspection& out) {
  if (!path.empty()) out.Fact(name, path + (fs::exists(path) ? "" : " (not there)"));
}

template <typename Options>
void CheckSection(const fs::path& recipe, const std::string& section, Inspection& out) {
  Options options;
  LoadYaml(Fields(options), recipe, section);
  CheckOptions(options);
  const std::string prefix = section.empty() ? "" : section + ".";
  AddPlace(prefix + "base_model", options.train.base_model, out);
  AddPlace(prefix + "dataset", options.train.dataset, out);
  AddPlace(prefix + "heldout", options.train.heldout, out);
  AddPlace(prefix + "out", options.train.out, out);
}

void CheckRlSection(const fs::path& recipe, const std::string& section, Inspection& out) {
  RlOptions options;
  LoadYaml(Fields(options), recipe, section);
  CheckOptions(options);
  const std::string prefix = section.empty() ? "" : section + ".";
  AddPlace(prefix + "pair", options.pair, out);
  AddPlace(prefix + "dataset", options.dataset, out);
  AddPlace(prefix + "heldout", options.heldout, out);
  AddPlace(prefix + "out", options.out, out);
}

constexpr Section kSections[] = {
    {"train_av", CheckSection<AvSftOptions>}, {"train_ar", CheckSection<ArSftOptions>}, {"train_rl", CheckRlSection}};

YAML::Node ReadYaml(const fs::path& path) {
  try {
    return YAML::Load(ReadFile(path, 1 << 24));
  } catch (const YAML::Exception& error) {
    Fail({.where = path.string(), .what = fmt::format("not YAML: {}", error.what())});
  }
}

bool IsRecipe(const fs::path& path) {
  const std::string name = path.filename().string();
  return fs::is_regular_file(path) && (name.ends_with(".yaml") || name.ends_with(".yml")) && name != "pair.yaml" &&
         !name.ends_with("nla_meta.yaml");
}

void InspectRecipe(const InspectSubject& subject, Inspection& out) {
  out.Try([&] {
    const YAML::Node root = ReadYaml(subject.path);
    if (!root.IsMap())
      Fail({.where = subject.path.string(), .what = "not a recipe", .wanted = "a mapping of sections"});
    bool any = false;
    for (const Section& section : kSections) {
      if (!root[section.name]) continue;
      any = true;
      out.Try([&] { section.check(subject.path, section.name, out); });
    }
    std::string others;
    for (const auto& entry : root) {
      const auto name = entry.first.as<std::string>("?");
      const bool known = std::any_of(std::begin(kSections), std::end(kSections),
                                     [&](const Section& section) { return section.name == name; });
      if (!known) others += (others.empty() ? "" : ", ") + name;
    }
    if (!others.empty()) out.Fact("not checked", others);
    if (!any) {
      Fail({.where = subject.path.string(),
            .what = "has no section that training reads",
            .wanted = "train_av, train_ar or train_rl"});
    }
  });
}

bool IsRun(const fs::path& path) {
  return fs::is_directory(path) && fs::exists(path / "recipe.yaml") &&
         (fs::exists(path / "metrics.jsonl") || fs::is_directory(path / "checkpoints"));
}

// The last line of each kind in metrics.jsonl. A half-written last line is what a killed run leaves, and --resume cuts.
void AddMetrics(const fs::path& path, Inspection& out) {
  if (!fs::exists(path)) return;
  std::ifstream file(path);
  nlohmann::ordered_json step;
  nlohmann::ordered_json eval;
  int64_t number = 0;
  bool broken = false;
  for (std::string line; std::getline(file, line); ++number) {
    if (broken) Fail({.where = fmt::format("{}:{}", path.string(), number), .what = "is not a JSON object"});
    auto parsed = nlohmann::ordered_json::parse(line, nullptr, false);
    broken = !parsed.is_object();
    if (broken) continue;
    const auto kind = parsed.value("kind", nlohmann::ordered_json());
    if (kind == "eval") {
      eval = std::move(parsed);
    } else if (kind == "step") {
      step = std::move(parsed);
    }
  }
  for (const char* name : {"step", "loss", "lr", "reward", "extraction_rate", "kl", "seconds"}) {
    if (step.contains(name)) out.Fact(fmt::format("last step: {}", name), step[name].dump());
  }
  for (const auto& [name, value] : eval.items()) {
    if (name != "kind") out.Fact("last evaluation: " + name, value.dump());
  }
}

// The step and the figure that a run's best pair was kept for.
std::string BestOf(const fs::path& pair) {
  const ModelSidecar sidecar = ReadModelSidecar(pair / "av");
  std::string step = "?";
  std::string fve = "?";
  for (const auto& [name, value] : sidecar.training) {
    if (name == "step") step = value;
  }
  for (const auto& [name, value] : sidecar.extra) {
    if (name == "heldout.fve_raw_variance") fve = value;
  }
  return fmt::format("best/ has the pair after step {}: fve_raw_variance {}", step, fve);
}

void InspectRun(const InspectSubject& subject, Inspection& out) {
  const fs::path& run = subject.path;
  out.Try([&] {
    const YAML::Node recipe = ReadYaml(run / "recipe.yaml");
    for (const char* name : {"base_model", "pair", "dataset"}) {
      const std::string value = recipe.IsMap() && recipe[name] ? recipe[name].as<std::string>("") : "";
      if (!value.empty()) out.Fact(name, value);
    }
  });
  out.Try([&] { AddMetrics(run / "metrics.jsonl", out); });
  const std::vector<fs::path> checkpoints = FindCheckpoints(run);
  out.Fact("checkpoints", static_cast<int64_t>(checkpoints.size()));
  for (const fs::path& checkpoint : checkpoints) {
    out.Try([&] {
      CheckCheckpoint(checkpoint);
      out.Fact(checkpoint.filename().string(), "sound");
    });
  }
  const bool pair = fs::exists(run / kFinalName / "pair.yaml");
  const bool done = pair || fs::exists(run / kFinalName / "nla_meta.yaml");
  out.Try([&] {
    if (fs::exists(run / kBestName / "pair.yaml")) out.Fact("best", BestOf(run / kBestName));
  });
  out.Fact("state", pair                  ? "finished: the pair is in final/"
                    : done                ? "finished: the model is in final/"
                    : checkpoints.empty() ? "stopped before its first checkpoint"
                                          : "unfinished: --resume goes on");
}

}  // namespace

std::vector<InspectKind> TrainingKinds() {
  return {{"training run", "a run's folder with recipe.yaml", IsRun, InspectRun},
          {"recipe", ".yaml", IsRecipe, InspectRecipe}};
}

}  // namespace nla
