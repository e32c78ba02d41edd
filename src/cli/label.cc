// `nla label`: explanations for rows of activations.
#include "datagen/label.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "cli/commands.h"

namespace nla::cli {
namespace {

void Run(const CommonOptions& common, LabelOptions& options) {
  options.created_by = "nla " NLA_VERSION " label";
  const LabelResult result = Label(options);
  if (common.json) {
    PrintJson({{"input", options.input.string()},
               {"output", options.output.string()},
               {"provider", options.provider},
               {"rows_in", result.rows_in},
               {"rows_out", result.rows_out},
               {"rows_resumed", result.rows_resumed},
               {"dropped", result.dropped},
               {"up_to_date", result.up_to_date}});
    return;
  }
  fmt::print("{}: {} of {} rows explained{}\n", options.output.string(), result.rows_out, result.rows_in,
             result.up_to_date ? " (was there already)" : "");
  for (const auto& [reason, count] : result.dropped) fmt::print("  {} rows dropped: {}\n", count, reason);
}

}  // namespace

void AddLabel(Command root, CommonOptions& common) {
  Command command = AddCommand(root, common, "label", "Write an explanation for every row, to train on",
                               "nla label --input av_sft_raw.parquet --out av_sft_explained.parquet");
  const auto options = std::make_shared<LabelOptions>();  // shared: the callback outlives this function
  ContextOptions& context = options->provider_options.context;
  command.AddOption("--input", options->input, "Parquet file of rows with their texts").Required();
  command.AddOption("--out", options->output, "Parquet file to write; beside it `.parts` while the work goes on")
      .Required();
  command
      .AddOption("--provider", options->provider,
                 fmt::format("who writes: {} (context: a rule, needs no key)", fmt::join(ProviderNames(), ", ")))
      .ShowDefault();
  AcceptHubName(command.AddOption("--model", options->provider_options.model_dir,
                                  "model directory whose tokenizer counts tokens; without it they are estimated"));
  command.AddOption("--max-tokens", context.max_tokens, "longest explanation, in tokens").ShowDefault();
  command.AddOption("--near-words", context.near_words, "context: words quoted right before the last one")
      .ShowDefault();
  command.AddOption("--far-words", context.far_words, "context: words quoted before those").ShowDefault();
  command.AddOption("--topic-words", context.topic_words, "context: salient words of the recent text").ShowDefault();
  command.AddFlag("--replace", options->replace, "make the output again, and drop unfinished work");
  command.OnRun([&common, options] { Run(common, *options); });
}

}  // namespace nla::cli
