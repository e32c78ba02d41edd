// `nla train av`, `nla train ar`: supervised training by a recipe; `nla train rl`: reinforcement learning of a pair.
#include <fmt/format.h>
#include <malloc.h>

#include <limits>
#include <memory>
#include <vector>

#include "base/live_block.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "net/hub.h"
#include "train/collectives/communicator.h"
#include "train/grpo/run.h"
#include "train/run_directory.h"
#include "train/sft/run.h"

namespace nla::cli {
namespace {

struct TrainArguments {
  std::string recipe;
  std::vector<std::string> assignments;
  bool resume = false;
  bool replace = false;

  StartMode mode() const { return resume ? StartMode::kResume : replace ? StartMode::kReplace : StartMode::kFresh; }
};

// Keeps freed memory for the next step instead of giving it back: a step allocates the same large tensors again and
// again, and fresh pages from the system took a seventh of the time of full fine-tuning.
void KeepFreedMemory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

void Print(const LoopResult& result, const CommonOptions& common) {
  if (common.json) {
    PrintJson({{"steps", result.steps},
               {"rows", result.rows},
               {"skipped_steps", result.skipped_steps},
               {"seconds", result.seconds},
               {"samples_per_second", result.seconds > 0 ? static_cast<double>(result.rows) / result.seconds : 0.0},
               {"loss", result.last_loss},
               {"stopped_by", result.stopped_by},
               {"heldout", result.evaluation},
               {"model", result.model.string()}});
    return;
  }
  fmt::print("{} steps, {} rows in {:.0f} s of training, {} steps skipped\n", result.steps, result.rows, result.seconds,
             result.skipped_steps);
  for (const auto& [name, value] : result.evaluation.items()) fmt::print("held out: {} {}\n", name, value.dump());
  fmt::print("{}\n", result.model.string());
}

void Print(const RlResult& result, const CommonOptions& common) {
  if (common.json) {
    PrintJson({{"steps", result.steps},
               {"rows", result.rows},
               {"skipped_steps", result.skipped_steps},
               {"seconds", result.seconds},
               {"samples_per_second", result.seconds > 0 ? static_cast<double>(result.replies) / result.seconds : 0.0},
               {"reward", result.last_reward},
               {"stopped_by", result.stopped_by},
               {"heldout", result.evaluation},
               {"best_step", result.best_step},
               {"best_fve_raw_variance", result.best_fve},
               {"pair", result.pair.string()}});
    return;
  }
  fmt::print("{} steps, {} rows in {:.0f} s of training, {} steps skipped, ended by {}\n", result.steps, result.rows,
             result.seconds, result.skipped_steps, result.stopped_by);
  for (const auto& [name, value] : result.evaluation.items()) fmt::print("held out: {} {}\n", name, value.dump());
  if (result.best_step >= 0) {
    fmt::print("best held-out FVE (raw variance) {:.4f} after step {}: {}\n", result.best_fve, result.best_step,
               (result.pair.parent_path() / kBestName).string());
  }
  fmt::print("{}\n", result.pair.string());
}

// What `nla train ROLE` needs of a role.
template <typename Options, typename Result>
struct RoleCommand {
  std::string name, section, summary;
  std::string assignment;  // an example for --set
  Result (*train)(Options, StartMode);
};

// Where a role's options keep the models that may come from the hub, the number type and the seed.
struct CommonFields {
  std::vector<std::string*> models;
  std::string* dtype;
  int64_t* seed;
};

template <typename Options>
CommonFields CommonFieldsOf(Options& options) {
  TrainOptions& train = options.train;
  return {{&train.base_model, &train.init}, &train.dtype, &train.seed};
}

CommonFields CommonFieldsOf(RlOptions& options) {
  return {{&options.pair, &options.base_model}, &options.dtype, &options.seed};
}

template <typename Options, typename Result>
void AddRole(Command parent, CommonOptions& common, const RoleCommand<Options, Result>& role) {
  auto arguments = std::make_shared<TrainArguments>();
  auto options = std::make_shared<Options>();
  Command command = AddCommand(parent, common, role.name, role.summary,
                               fmt::format("nla train {} recipe.yaml --set {}", role.name, role.assignment));
  command.AddOption("recipe", arguments->recipe, fmt::format("YAML file with the section {}", role.section)).Required();
  command.AddOption("--set", arguments->assignments, "change a field: " + role.assignment).TypeName("KEY=VALUE");
  const Option resume =
      command.AddFlag("--resume", arguments->resume,
                      "go on from the newest checkpoint in the run directory, or begin where there is none");
  command.AddFlag("--replace", arguments->replace, "lose the run that is in the run directory").NotWith(resume);
  command.AddToFooter("Fields of " + role.section + " (default):\n" + HelpText(Fields(*options)));
  command.OnRun([=, &common] {
    const Communicator& ranks = *JoinedProcesses();
    // What all do alike is told by one.
    if (!ranks.writes()) spdlog::set_level(spdlog::level::err);
    if (!common.json) AllowLiveBlocks();
    LoadRecipe(Fields(*options), arguments->recipe, role.section, arguments->assignments);
    const CommonFields fields = CommonFieldsOf(*options);
    for (std::string* model : fields.models) *model = ResolveModel(*model).string();
    SetUpCompute(common);
    common.device = JoinDevice(common.device);
    KeepFreedMemory();
    // The common options speak for the recipe only where they were given.
    if (command.option("--dtype").given()) *fields.dtype = common.dtype;
    if (command.option("--seed").given()) *fields.seed = static_cast<int64_t>(common.seed);
    const Result result = role.train(*options, arguments->mode());
    if (ranks.writes()) Print(result, common);
  });
}

}  // namespace

void AddTrain(Command root, CommonOptions& common) {
  Command train =
      root.AddSubcommand("train", "Train a verbalizer (av), a reconstructor (ar), or both sides of a pair (rl)");
  train.RequireSubcommand();
  AddRole<AvSftOptions, LoopResult>(
      train, common,
      {.name = "av",
       .section = "train_av",
       .summary = "Train the verbalizer: activation in the prompt, cross-entropy on the explanation",
       .assignment = "train_av.lr=1e-4",
       .train = TrainAv});
  AddRole<ArSftOptions, LoopResult>(
      train, common,
      {.name = "ar",
       .section = "train_ar",
       .summary = "Train the reconstructor: explanation in the prompt, the activation's direction out",
       .assignment = "train_ar.lr=1e-4",
       .train = TrainAr});
  AddRole<RlOptions, RlResult>(
      train, common,
      {.name = "rl",
       .section = "train_rl",
       .summary = "Train a pair on its own round trips: replies that the reconstructor reads better become likelier",
       .assignment = "train_rl.av.lr=2e-5",
       .train = TrainRl});
}

}  // namespace nla::cli
