// `nla inspect`: what a path is, and what would refuse it.
#include "nla/inspect.h"

#include <fmt/format.h>

#include <memory>

#include "base/fail.h"
#include "cli/commands.h"
#include "train/inspect_run.h"

namespace nla::cli {

void AddInspect(Command root, CommonOptions& common) {
  struct Options {
    std::string path;
    std::string base;
  };
  auto options = std::make_shared<Options>();
  Command command = AddCommand(root, common, "inspect", "Say what a file or folder is, and what would refuse it",
                               "nla inspect demo/pair");
  AcceptHubName(command
                    .AddOption("path", options->path,
                               "weights, tokenizer, chat template, checkpoint, pair, dataset, activations, sidecar, "
                               "recipe, or training run")
                    .Required()
                    .TypeName("PATH"));
  AcceptHubName(command.AddOption("--base", options->base, "base model's directory, to check adapters against"));
  command.OnRun([options, &common] {
    const Inspection found = Inspect(options->path, options->base, TrainingKinds());
    if (common.json) {
      nlohmann::ordered_json facts = nlohmann::ordered_json::object();
      for (const auto& [name, value] : found.facts) facts[name] = value;
      PrintJson({{"path", options->path}, {"kind", found.kind}, {"facts", facts}, {"problems", found.problems}});
    } else {
      fmt::print("{}: {}\n", options->path, found.kind);
      for (const auto& [name, value] : found.facts) fmt::print("  {:<26} {}\n", name, value);
      for (const std::string& problem : found.problems) fmt::print("  problem: {}\n", problem);
    }
    if (!found.problems.empty()) common.exit_code = 1;
  });
}

}  // namespace nla::cli
