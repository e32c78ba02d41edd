// `nla prepare-ar`: an untrained reconstructor from a base model.
#include "train/prepare_ar.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"

namespace nla::cli {

void AddPrepareAr(Command root, CommonOptions& common) {
  auto options = std::make_shared<PrepareArOptions>();
  Command command = AddCommand(root, common, "prepare-ar",
                               "Cut a base model to blocks 0..K with an identity value head: a reconstructor to train",
                               "nla prepare-ar --model DIR --layer 20 --out ar_init");
  AcceptHubName(command.AddOption("--model", options->model, "checkpoint directory of the base model").Required());
  command.AddOption("--layer", options->layer, "K: the output of block K, 0-based (hidden_states[K+1])").Required();
  command.AddOption("--out", options->out, "directory to write").Required();
  command.AddOption("--critic-template", options->critic_template,
                    "text file with {explanation}; default: the releases' template");
  command.AddOption("--base-model", options->base_model, "name in the sidecar; default: the directory's");
  command.AddFlag("--replace", options->replace, "lose what is at --out");
  command.OnRun([options, &common] {
    const PrepareArReport report = PrepareAr(*options);
    if (common.json) {
      PrintJson({{"out", options->out.string()},
                 {"layer", options->layer},
                 {"blocks", report.blocks},
                 {"d_model", report.d_model},
                 {"parameters", report.parameters}});
      return;
    }
    fmt::print("{}: {} blocks, width {}, {} parameters\n", options->out.string(), report.blocks, report.d_model,
               report.parameters);
  });
}

}  // namespace nla::cli
