// nla split: base rows into the three files of training, by document.
#include "datagen/split.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"

namespace nla::cli {
namespace {

void Run(SplitOptions options, const CommonOptions& common) {
  options.seed = common.seed;
  options.created_by = "nla " NLA_VERSION " split";
  const SplitResult result = Split(options);
  if (common.json) {
    nlohmann::ordered_json buckets = nlohmann::ordered_json::array();
    for (const SplitBucket& bucket : result.buckets) {
      buckets.push_back({{"name", bucket.name},
                         {"path", bucket.path.string()},
                         {"documents", bucket.documents},
                         {"rows", bucket.rows}});
    }
    PrintJson({{"rows_in", result.rows},
               {"documents", result.documents},
               {"up_to_date", result.up_to_date},
               {"buckets", buckets}});
    return;
  }
  for (const SplitBucket& bucket : result.buckets) {
    fmt::print("{}: {} documents, {} rows{}\n", bucket.path.string(), bucket.documents, bucket.rows,
               result.up_to_date ? " (was there)" : "");
  }
}

}  // namespace

void AddSplit(Command root, CommonOptions& common) {
  Command command = AddCommand(root, common, "split", "split a base dataset by document into av_sft, ar_sft and rl",
                               "nla split --input data/base.parquet --out-dir data/split --seed 42");
  const auto options = std::make_shared<SplitOptions>();
  command.AddOption("--input", options->input, "base rows (Parquet with its sidecar)").Required().TypeName("FILE");
  command.AddOption("--out-dir", options->output_dir, "folder that gets <bucket>_raw.parquet and sidecars")
      .Required()
      .TypeName("DIR");
  command.AddOption("--av", options->av_fraction, "fraction of the documents for the verbalizer's SFT")
      .TypeName("F")
      .ShowDefault();
  command.AddOption("--ar", options->ar_fraction, "fraction for the reconstructor's SFT").TypeName("F").ShowDefault();
  command.AddOption("--rl", options->rl_fraction, "fraction for RL, which also gets what truncation leaves")
      .TypeName("F")
      .ShowDefault();
  command.AddFlag("--replace", options->replace, "replace other files that are there");
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
