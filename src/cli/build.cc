// nla build: explained rows into what training reads.
#include "datagen/build.h"

#include <fmt/format.h>

#include <memory>

#include "base/file.h"
#include "cli/commands.h"

namespace nla::cli {
namespace {

struct Arguments {
  BuildOptions options;
  std::filesystem::path actor_template, critic_template;  // files
  bool drop_text = false;
};

// A template file's text without the line end that editors put last.
std::string ReadTemplate(const std::filesystem::path& path) {
  if (path.empty()) return {};
  std::string text = ReadFile(path, 1 << 20);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

void Run(const Arguments& arguments, const CommonOptions& common) {
  BuildOptions options = arguments.options;
  options.actor_template = ReadTemplate(arguments.actor_template);
  options.critic_template = ReadTemplate(arguments.critic_template);
  options.keep_text = !arguments.drop_text;
  options.created_by = "nla " NLA_VERSION " build";
  const BuildResult result = Build(options);
  if (common.json) {
    PrintJson({{"rows_in", result.rows_in},
               {"rows_out", result.rows_out},
               {"dropped", {{"without_explanation", result.dropped_without_explanation}}},
               {"injection_char", result.tokens.injection_char},
               {"injection_token_id", result.tokens.injection_token_id},
               {"injection_left_neighbor_id", result.tokens.injection_left_neighbor_id},
               {"injection_right_neighbor_id", result.tokens.injection_right_neighbor_id},
               {"critic_suffix_ids", result.tokens.critic_suffix_ids},
               {"up_to_date", result.up_to_date}});
    return;
  }
  fmt::print("{}: {} rows of {}, {} dropped without explanation{}\n", options.output.string(), result.rows_out,
             result.rows_in, result.dropped_without_explanation, result.up_to_date ? " (was there)" : "");
  fmt::print("marker {} id {}, neighbours {} and {}\n", result.tokens.injection_char, result.tokens.injection_token_id,
             result.tokens.injection_left_neighbor_id, result.tokens.injection_right_neighbor_id);
}

}  // namespace

void AddBuild(Command root, CommonOptions& common) {
  Command command = AddCommand(
      root, common, "build", "turn explained rows into training data, prompts and marker facts included",
      "nla build --stage av_sft --input data/av_sft_explained.parquet --model models/base --out data/av_sft.parquet");
  const auto arguments = std::make_shared<Arguments>();
  BuildOptions& options = arguments->options;
  command.AddOption("--stage", options.stage, "what to build: av_sft, ar_sft or rl")
      .Required()
      .OneOf({"av_sft", "ar_sft", "rl"})
      .TypeName("STAGE");
  command.AddOption("--input", options.input, "explained rows; for rl base rows will do").Required().TypeName("FILE");
  command.AddOption("--out", options.output, "file to write, with its sidecar").Required().TypeName("FILE");
  AcceptHubName(command
                    .AddOption("--model", options.model_dir,
                               "folder of the base model, for its tokenizer and chat format; left out: the sidecar's "
                               "base_model")
                    .TypeName("DIR"));
  command
      .AddOption("--actor-template", arguments->actor_template,
                 "file with the verbalizer's prompt, {injection_char} in it once; left out: the built-in one")
      .TypeName("FILE");
  command
      .AddOption("--critic-template", arguments->critic_template,
                 "file with the reconstructor's prompt, {explanation} in it once; left out: the built-in one")
      .TypeName("FILE");
  command.AddOption("--marker", options.injection_char, "character to use as the marker; left out: found by search")
      .TypeName("CHAR");
  command
      .AddOption("--date", options.chat_date,
                 "the day (YYYY-MM-DD) for chat templates that print one, kept in the sidecars; 2024-07-26 without it")
      .TypeName("DAY");
  command.AddFlag("--drop-text", arguments->drop_text, "leave out the column detokenized_text_truncated");
  command.AddFlag("--replace", options.replace, "replace another file that is there");
  command.OnRun([arguments, &common] { Run(*arguments, common); });
}

}  // namespace nla::cli
