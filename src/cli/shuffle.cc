// nla shuffle and nla shuffle-activations: the rows of a dataset in a random order, and the baseline dataset in which
// every row has another row's vector.
#include "datagen/shuffle.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"

namespace nla::cli {
namespace {

using Stage = ShuffleResult (*)(const ShuffleOptions&);

ShuffleResult RunStage(Stage stage, ShuffleOptions options, const std::string& name, const CommonOptions& common) {
  options.seed = common.seed;
  options.created_by = "nla " NLA_VERSION " " + name;
  return stage(options);
}

nlohmann::ordered_json Summary(const ShuffleResult& result) {
  return {{"rows_in", result.rows}, {"rows_out", result.rows}, {"up_to_date", result.up_to_date}};
}

void RunShuffle(const ShuffleOptions& options, const CommonOptions& common) {
  const ShuffleResult result = RunStage(Shuffle, options, "shuffle", common);
  if (common.json) {
    PrintJson(Summary(result));
    return;
  }
  fmt::print("{}: {} rows{}\n", options.output.string(), result.rows,
             result.up_to_date ? " (was there)" : " in a new order");
}

void RunShuffleActivations(const ShuffleOptions& options, const CommonOptions& common) {
  const ShuffleResult result = RunStage(ShuffleActivations, options, "shuffle-activations", common);
  if (common.json) {
    nlohmann::ordered_json document = Summary(result);
    if (!result.up_to_date) document["rows_with_their_own_vector"] = result.fixed_points;
    PrintJson(document);
    return;
  }
  fmt::print("{}: {} rows", options.output.string(), result.rows);
  if (result.up_to_date) {
    fmt::print(" (was there)\n");
  } else {
    fmt::print(", {} kept their own vector by chance\n", result.fixed_points);
  }
}

void AddOptions(Command command, void (*run)(const ShuffleOptions&, const CommonOptions&), CommonOptions& common) {
  const auto options = std::make_shared<ShuffleOptions>();
  command.AddOption("--input", options->input, "any dataset (Parquet with its sidecar)").Required().TypeName("FILE");
  command.AddOption("--out", options->output, "file to write, with its sidecar").Required().TypeName("FILE");
  command.AddFlag("--replace", options->replace, "replace another file that is there");
  command.OnRun([options, run, &common] { run(*options, common); });
}

}  // namespace

void AddShuffle(Command root, CommonOptions& common) {
  AddOptions(AddCommand(root, common, "shuffle", "put the rows of a dataset in a random order",
                        "nla shuffle --input data/av_sft.parquet --out data/av_sft_shuf.parquet --seed 42"),
             RunShuffle, common);
}

void AddShuffleActivations(Command root, CommonOptions& common) {
  AddOptions(
      AddCommand(root, common, "shuffle-activations",
                 "give every row another row's vector: the baseline that shows whether the vector matters",
                 "nla shuffle-activations --input data/av_sft.parquet --out data/av_sft_random.parquet --seed 42"),
      RunShuffleActivations, common);
}

}  // namespace nla::cli
