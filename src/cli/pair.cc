// `nla pair`: a trained verbalizer and reconstructor put together as a pair.
#include "nla/pair.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"

namespace nla::cli {

void AddPair(Command root, CommonOptions& common) {
  struct Options {
    PairParts parts;
    std::string out;
    bool replace = false;
  };
  auto options = std::make_shared<Options>();
  Command command =
      AddCommand(root, common, "pair", "Put a verbalizer and a reconstructor together as a pair",
                 "nla pair --av runs/av/final --ar runs/ar/final --base DIR --dataset heldout.parquet --out pair");
  AcceptHubName(command.AddOption("--av", options->parts.actor, "trained verbalizer").Required());
  AcceptHubName(command.AddOption("--ar", options->parts.critic, "trained reconstructor").Required());
  AcceptHubName(command.AddOption("--base", options->parts.base,
                                  "base model's directory; whole sides do without, `explain` does not"));
  command.AddOption("--dataset", options->parts.heldout, "held-out rows, for the baselines of a single token's FVE");
  command.AddOption("--out", options->out, "pair directory to write").Required();
  command.AddFlag("--replace", options->replace, "lose what is at --out");
  command.OnRun([options, &common] {
    const PairManifest manifest = AssemblePair(options->parts, options->out, options->replace);
    if (common.json) {
      PrintJson({{"out", options->out}, {"base_model", manifest.base_name}, {"layer", manifest.layer}});
    } else {
      fmt::print("{}: {} at layer {}\n", options->out, manifest.base_name, manifest.layer);
    }
  });
}

}  // namespace nla::cli
