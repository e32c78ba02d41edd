// `nla merge`: adapters as whole checkpoints, for other programs and for publishing.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "nla/export.h"

namespace nla::cli {
namespace {

struct MergeArguments {
  std::string input, output, base;
  double shard_gb = 5;
  ExportOptions write;
};

std::optional<DType> StoredDType(const std::string& name) {
  if (name == "bf16") return DType::kBF16;
  if (name == "fp32") return DType::kF32;
  return std::nullopt;
}

nlohmann::ordered_json Describe(const ExportFacts& facts) {
  return {{"role", facts.role == Role::kActor ? "actor" : "critic"},
          {"merged", facts.merged},
          {"blocks", facts.blocks},
          {"tensors", facts.tensors},
          {"files", facts.files},
          {"weight_bytes", facts.weight_bytes}};
}

void PrintSide(const std::string& path, const ExportFacts& facts) {
  fmt::print("{}: {}, {} blocks, {} tensors, {:.2f} GB in {} file{}{}\n", path,
             facts.role == Role::kActor ? "verbalizer" : "reconstructor", facts.blocks, facts.tensors,
             static_cast<double>(facts.weight_bytes) * 1e-9, facts.files, facts.files == 1 ? "" : "s",
             facts.merged ? "" : " (was whole already)");
}

void Run(MergeArguments options, const CommonOptions& common) {
  options.write.store = StoredDType(common.dtype);
  options.write.shard_bytes = static_cast<uint64_t>(options.shard_gb * 1e9);
  if (fs::exists(fs::path(options.input) / "pair.yaml")) {
    const PairExportFacts facts = ExportPair(FindPair(options.input, options.base), options.output, options.write);
    if (common.json) {
      PrintJson({{"out", options.output}, {"av", Describe(facts.actor)}, {"ar", Describe(facts.critic)}});
    } else {
      PrintSide(options.output + "/av", facts.actor);
      PrintSide(options.output + "/ar", facts.critic);
    }
    return;
  }
  const ExportFacts facts = ExportRole({options.input, options.base, at::kFloat}, options.output, options.write);
  if (common.json) {
    nlohmann::ordered_json document = Describe(facts);
    document["out"] = options.output;
    PrintJson(document);
  } else {
    PrintSide(options.output, facts);
  }
}

}  // namespace

void AddMerge(Command root, CommonOptions& common) {
  auto options = std::make_shared<MergeArguments>();
  Command command = AddCommand(root, common, "merge",
                               "Write a pair or one side as whole checkpoints; --dtype is of the written weights",
                               "nla merge demo/pair merged --dtype bf16");
  AcceptHubName(command.AddOption("PAIR", options->input, "pair directory, or one side's directory").Required());
  command.AddOption("OUT", options->output, "the directory to write; appears whole or not at all").Required();
  AcceptHubName(command.AddOption("--base", options->base, "base model's directory, where the pair does not name it"));
  command.AddOption("--shard-size", options->shard_gb, "most gigabytes (10^9 bytes) of weights in one file")
      .ShowDefault()
      .Between(1e-6, 1e6);
  command.AddFlag("--megatron", options->write.megatron,
                  "give a reconstructor the d x d lm_head that Megatron's converter wants");
  command.AddFlag("--replace", options->write.replace, "replace OUT if it exists");
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
