// `nla pipeline`: the stages of a recipe one after another, each a command of this program in a process of its own, so
// that what one held is free for the next.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/fail.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/subprocess.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/program.h"
#include "model/tensor_io.h"
#include "pipeline/costs.h"

namespace nla::cli {
namespace {

using nlohmann::ordered_json;

struct PipelineArguments {
  std::string recipe, from, to;
  std::vector<std::string> assignments;
  uint64_t memory = 0;  // 0: this machine's
  bool dry_run = false, force = false;
};

// A stage that is to run, and what it costs here.
struct PlannedStage {
  Stage stage;
  StageCost cost;
  std::string command() const { return fmt::format("nla {}", fmt::join(stage.words, " ")); }
};

struct Plan {
  PipelineRecipe recipe;
  ModelSpec spec;
  Machine machine;
  std::vector<PlannedStage> stages;  // from --from to --to
};

std::string Gigabytes(double bytes) { return fmt::format("{:.1f} GB", bytes / 1e9); }

bool Fits(const PlannedStage& planned, const Machine& machine) {
  return planned.cost.memory_bytes.value_or(0) <= machine.memory_bytes;
}

// Everything is checked before the first stage runs for hours.
Plan MakePlan(const PipelineArguments& arguments, const CommonOptions& common) {
  Plan plan{
      .recipe = ReadPipelineRecipe(arguments.recipe, arguments.assignments), .spec = {}, .machine = {}, .stages = {}};
  CheckField("pipeline.layer", plan.recipe.options.layer >= 0, plan.recipe.options.layer, "a block number");
  plan.spec = SpecOf(plan.recipe);
  if (plan.recipe.options.layer >= plan.spec.n_blocks) {
    CheckField("pipeline.layer", false, plan.recipe.options.layer,
               fmt::format("below the model's {} blocks", plan.spec.n_blocks).c_str());
  }
  plan.machine = Machine::Measure(ChooseDType(common.dtype));
  if (arguments.memory > 0) plan.machine.memory_bytes = static_cast<double>(arguments.memory);
  const size_t first = arguments.from.empty() ? 0 : plan.recipe.IndexOf(arguments.from, "--from");
  const size_t last = arguments.to.empty() ? plan.recipe.stages.size() - 1 : plan.recipe.IndexOf(arguments.to, "--to");
  if (first > last) {
    FailUsage({.where = "--from", .what = fmt::format("{} comes after {}", arguments.from, arguments.to)});
  }
  for (size_t i = first; i <= last; ++i) {
    const Stage& stage = plan.recipe.stages[i];
    try {
      CheckCommandLine(stage.words);
    } catch (const Error& error) {
      FailUsage({.where = fmt::format("{}: stage {}", arguments.recipe, stage.name), .what = error.what()});
    }
    plan.stages.push_back({stage, CostOf(stage, plan.recipe, plan.spec, plan.machine, arguments.assignments)});
  }
  return plan;
}

ordered_json PlanDocument(const Plan& plan) {
  ordered_json stages = ordered_json::array();
  for (const PlannedStage& planned : plan.stages) {
    ordered_json stage = {
        {"name", planned.stage.name}, {"command", planned.command()}, {"fits", Fits(planned, plan.machine)}};
    if (planned.cost.memory_bytes) stage["memory_bytes"] = *planned.cost.memory_bytes;
    if (planned.cost.seconds) stage["seconds"] = *planned.cost.seconds;
    stages.push_back(std::move(stage));
  }
  return {{"recipe", plan.recipe.file.string()},
          {"model", plan.recipe.options.model},
          {"layer", plan.recipe.options.layer},
          {"machine", {{"memory_bytes", plan.machine.memory_bytes}, {"flops", plan.machine.flops}}},
          {"stages", std::move(stages)}};
}

void Show(const Plan& plan) {
  fmt::print("{}: {}, K = {} of {} blocks\n", plan.recipe.file.string(), plan.recipe.options.model,
             plan.recipe.options.layer, plan.spec.n_blocks);
  fmt::print("this machine: {} of memory, {:.0f} GFLOP/s in {}\n\n", Gigabytes(plan.machine.memory_bytes),
             plan.machine.flops / 1e9, plan.machine.compute == at::kBFloat16 ? "bf16" : "fp32");
  fmt::print("{:>2}  {:<16} {:>12} {:>10}\n", "", "stage", "memory", "time");
  for (size_t i = 0; i < plan.stages.size(); ++i) {
    const PlannedStage& planned = plan.stages[i];
    const StageCost& cost = planned.cost;
    fmt::print("{:>2}  {:<16} {:>12} {:>10}{}\n    {}\n", i + 1, planned.stage.name,
               cost.memory_bytes ? Gigabytes(*cost.memory_bytes) : "-",
               cost.seconds ? DurationText(*cost.seconds) : "-",
               Fits(planned, plan.machine) ? "" : "   more than this machine has", planned.command());
  }
}

const PlannedStage* FirstTooLarge(const Plan& plan) {
  const auto found = std::find_if(plan.stages.begin(), plan.stages.end(),
                                  [&](const PlannedStage& planned) { return !Fits(planned, plan.machine); });
  return found == plan.stages.end() ? nullptr : &*found;
}

void RefuseWhatDoesNotFit(const Plan& plan) {
  const PlannedStage* const planned = FirstTooLarge(plan);
  if (planned == nullptr) return;
  Fail({.where = fmt::format("{}: stage {}", plan.recipe.file.string(), planned->stage.name),
        .what = "needs more memory than there is",
        .found = Gigabytes(plan.machine.memory_bytes),
        .wanted = "about " + Gigabytes(*planned->cost.memory_bytes),
        .mend = "Train adapters (lora.rank), take a smaller micro_rows, use a larger machine, or go on with --force"});
}

// Runs a stage; what it printed is printed when it has ended, or returned with --json.
ordered_json RunStage(const PlannedStage& planned, const CommonOptions& common) {
  std::vector<std::string> words = {ThisProgram()};
  words.insert(words.end(), planned.stage.words.begin(), planned.stage.words.end());
  if (common.json) words.emplace_back("--json");
  const ProcessResult result = RunProcess(words);
  if (!common.json) {
    fmt::print("{}", result.output);
    std::fflush(stdout);
  }
  ThrowIfInterrupted();
  if (result.exit_code != 0) {
    Fail({.where = fmt::format("stage {}", planned.stage.name),
          .what = fmt::format("ended with exit code {}", result.exit_code),
          .mend = fmt::format("What it said stands above. What is finished is kept: go on with --from {}",
                              planned.stage.name)});
  }
  ordered_json document = {{"name", planned.stage.name}, {"seconds", result.seconds}};
  document["peak_memory_bytes"] = result.peak_rss_mb * 1024 * 1024;
  if (common.json) document["result"] = ordered_json::parse(result.output, nullptr, false);
  return document;
}

void RunPlan(const Plan& plan, const CommonOptions& common) {
  ordered_json done = ordered_json::array();
  for (size_t i = 0; i < plan.stages.size(); ++i) {
    const PlannedStage& planned = plan.stages[i];
    spdlog::info("stage {} of {}, {}: {}", i + 1, plan.stages.size(), planned.stage.name, planned.command());
    done.push_back(RunStage(planned, common));
    spdlog::info("stage {} took {}", planned.stage.name, DurationText(done.back()["seconds"].get<double>()));
  }
  if (common.json) PrintJson({{"recipe", plan.recipe.file.string()}, {"stages", std::move(done)}});
}

}  // namespace

void AddPipeline(Command root, CommonOptions& common) {
  auto arguments = std::make_shared<PipelineArguments>();
  Command command = AddCommand(root, common, "pipeline", "Run a recipe's stages, from documents to a trained pair",
                               "nla pipeline recipes/qwen2_5-7b.yaml --dry-run");
  command.AddOption("recipe", arguments->recipe, "YAML file with the sections pipeline and stages").Required();
  command.AddOption("--from", arguments->from, "first stage to run; left out: the recipe's first").TypeName("STAGE");
  command.AddOption("--to", arguments->to, "last stage to run; left out: the recipe's last").TypeName("STAGE");
  command.AddOption("--set", arguments->assignments, "change a field: train_rl.steps=100").TypeName("KEY=VALUE");
  command.AddFlag(
      "--dry-run", arguments->dry_run,
      "check everything, show what each stage would hold in memory and how long it would take, run nothing");
  command.AddOption("--memory", arguments->memory, "memory to reckon with instead of this machine's")
      .ByteSize()
      .TypeName("SIZE");
  command.AddFlag("--force", arguments->force, "run stages that seem to need more memory than there is");
  PipelineOptions options;
  command.AddToFooter(
      "A stage is a command line (NAME: COMMAND), or a training of the recipe by its section's name. Stages whose work "
      "is\n"
      "done end at once, an unfinished training goes on: run the same command again after a stop.\n\n"
      "Fields of pipeline (default), whose names in braces stand for their values in commands:\n" +
      HelpText(Fields(options)));
  command.OnRun([arguments, &common] {
    SetUpCompute(common);
    const Plan plan = MakePlan(*arguments, common);
    if (arguments->dry_run) {
      common.json ? PrintJson(PlanDocument(plan)) : Show(plan);
      if (FirstTooLarge(plan) != nullptr) common.exit_code = 1;
      return;
    }
    if (!arguments->force) RefuseWhatDoesNotFit(plan);
    RunPlan(plan, common);
  });
}

}  // namespace nla::cli
