// nla shuffle: the rows of a dataset in a random order.
#include "datagen/shuffle.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"

namespace nla::cli {
namespace {

void Run(ShuffleOptions options, const CommonOptions& common) {
  options.seed = common.seed;
  options.created_by = "nla " NLA_VERSION " shuffle";
  const ShuffleResult result = Shuffle(options);
  if (common.json) {
    PrintJson({{"rows_in", result.rows}, {"rows_out", result.rows}, {"up_to_date", result.up_to_date}});
    return;
  }
  fmt::print("{}: {} rows{}\n", options.output.string(), result.rows,
             result.up_to_date ? " (was there)" : " in a new order");
}

}  // namespace

void AddShuffle(Command root, CommonOptions& common) {
  Command command = AddCommand(root, common, "shuffle", "put the rows of a dataset in a random order",
                               "nla shuffle --input data/av_sft.parquet --out data/av_sft_shuf.parquet --seed 42");
  const auto options = std::make_shared<ShuffleOptions>();
  command.AddOption("--input", options->input, "any dataset (Parquet with its sidecar)").Required().TypeName("FILE");
  command.AddOption("--out", options->output, "file to write, with its sidecar").Required().TypeName("FILE");
  command.AddFlag("--replace", options->replace, "replace another file that is there");
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
