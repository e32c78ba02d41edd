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

void AddLabel(CLI::App& root, CommonOptions& common) {
  CLI::App* command = AddCommand(root, common, "label", "Write an explanation for every row, to train on",
                                 "nla label --input av_sft_raw.parquet --out av_sft_explained.parquet");
  const auto options = std::make_shared<LabelOptions>();  // shared: the callback outlives this function
  ContextOptions& context = options->provider_options.context;
  command->add_option("--input", options->input, "Parquet file of rows with their texts")->required();
  command->add_option("--out", options->output, "Parquet file to write; beside it `.parts` while the work goes on")
      ->required();
  command
      ->add_option("--provider", options->provider,
                   fmt::format("who writes: {} (context: a rule, needs no key)", fmt::join(ProviderNames(), ", ")))
      ->capture_default_str();
  AcceptHubName(command->add_option("--model", options->provider_options.model_dir,
                                    "model directory whose tokenizer counts tokens; without it they are estimated"));
  command->add_option("--max-tokens", context.max_tokens, "longest explanation, in tokens")->capture_default_str();
  command->add_option("--near-words", context.near_words, "context: words quoted right before the last one")
      ->capture_default_str();
  command->add_option("--far-words", context.far_words, "context: words quoted before those")->capture_default_str();
  command->add_option("--topic-words", context.topic_words, "context: salient words of the recent text")
      ->capture_default_str();
  command->add_flag("--replace", options->replace, "make the output again, and drop unfinished work");
  command->callback([&common, options] { Run(common, *options); });
}

}  // namespace nla::cli
