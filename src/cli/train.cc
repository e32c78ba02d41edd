// `nla train av` and `nla train ar`: supervised training by a recipe.
#include <fmt/format.h>
#include <malloc.h>

#include <limits>
#include <memory>

#include "cli/commands.h"
#include "cli/model_options.h"
#include "net/hub.h"
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

// What `nla train ROLE` needs of a role.
template <typename Options>
struct RoleCommand {
  std::string name, section, summary;
  LoopResult (*train)(Options, StartMode);
};

template <typename Options>
void AddRole(Command parent, CommonOptions& common, const RoleCommand<Options>& role) {
  auto arguments = std::make_shared<TrainArguments>();
  auto options = std::make_shared<Options>();
  Command command = AddCommand(parent, common, role.name, role.summary,
                               fmt::format("nla train {} recipe.yaml --set {}.lr=1e-4", role.name, role.section));
  command.AddOption("recipe", arguments->recipe, fmt::format("YAML file with the section {}", role.section)).Required();
  command.AddOption("--set", arguments->assignments, fmt::format("change a field: {}.lr=1e-4", role.section))
      .TypeName("KEY=VALUE");
  const Option resume =
      command.AddFlag("--resume", arguments->resume, "go on from the newest checkpoint in the run directory");
  command.AddFlag("--replace", arguments->replace, "lose the run that is in the run directory").NotWith(resume);
  command.AddToFooter("Fields of " + role.section + " (default):\n" + HelpText(Fields(*options)));
  command.OnRun([=, &common] {
    LoadRecipe(Fields(*options), arguments->recipe, role.section, arguments->assignments);
    for (std::string* model : {&options->train.base_model, &options->train.init})
      *model = ResolveModel(*model).string();
    SetUpCompute(common);
    KeepFreedMemory();
    // The common options speak for the recipe only where they were given.
    if (command.option("--dtype").given()) options->train.dtype = common.dtype;
    if (command.option("--seed").given()) options->train.seed = static_cast<int64_t>(common.seed);
    Print(role.train(*options, arguments->mode()), common);
  });
}

}  // namespace

void AddTrain(Command root, CommonOptions& common) {
  Command train = root.AddSubcommand("train", "Train a verbalizer (av) or a reconstructor (ar) by a recipe");
  train.RequireSubcommand();
  AddRole<AvSftOptions>(train, common,
                        {.name = "av",
                         .section = "train_av",
                         .summary = "Train the verbalizer: activation in the prompt, cross-entropy on the explanation",
                         .train = TrainAv});
  AddRole<ArSftOptions>(
      train, common,
      {.name = "ar",
       .section = "train_ar",
       .summary = "Train the reconstructor: explanation in the prompt, the activation's direction out",
       .train = TrainAr});
}

}  // namespace nla::cli
