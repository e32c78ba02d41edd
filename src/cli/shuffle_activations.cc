// nla shuffle-activations: the baseline dataset in which every row has another row's vector.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "datagen/shuffle.h"

namespace nla::cli {
namespace {

void Run(ShuffleOptions options, const CommonOptions& common) {
  options.seed = common.seed;
  options.created_by = "nla " NLA_VERSION " shuffle-activations";
  const ShuffleResult result = ShuffleActivations(options);
  if (common.json) {
    nlohmann::ordered_json document = {
        {"rows_in", result.rows}, {"rows_out", result.rows}, {"up_to_date", result.up_to_date}};
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

}  // namespace

void AddShuffleActivations(Command root, CommonOptions& common) {
  Command command =
      AddCommand(root, common, "shuffle-activations",
                 "give every row another row's vector: the baseline that shows whether the vector matters",
                 "nla shuffle-activations --input data/av_sft.parquet --out data/av_sft_random.parquet --seed 42");
  const auto options = std::make_shared<ShuffleOptions>();
  command.AddOption("--input", options->input, "any dataset (Parquet with its sidecar)").Required().TypeName("FILE");
  command.AddOption("--out", options->output, "file to write, with its sidecar").Required().TypeName("FILE");
  command.AddFlag("--replace", options->replace, "replace another file that is there");
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
