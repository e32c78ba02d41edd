// `nla generate`: the base model alone: one prompt to a text, or a file of prompts to a corpus.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "base/fail.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "datagen/sample.h"
#include "engine/run_requests.h"

namespace nla::cli {
namespace {

struct GenerateArguments {
  std::string model;
  std::string prompt;
  bool raw = false;
  std::string date;
  std::string quant = "none";
  SampleOptions sample;
};

void GenerateOne(const LanguageModel& model, const GenerateArguments& options, const CommonOptions& common) {
  const std::vector<ChatMessage> messages = {{"user", options.prompt}};
  const std::vector<TokenId> ids =
      options.raw ? model.tokenizer.Encode(options.prompt) : model.chat.Encode(model.tokenizer, messages, true);
  if (ids.empty()) FailUsage({.where = "PROMPT", .what = "is empty", .wanted = "at least one token"});
  SamplingOptions sampling = options.sample.sampling;
  for (const TokenId id : model.chat.StopIds(model.tokenizer)) sampling.stop_ids.push_back(id);
  Engine engine(model.decoder, model.tokenizer, {.max_running = 1});
  RunRequests(
      engine, 1,
      [&](int64_t) {
        return EngineRequest{.prompt_TD = model.decoder.Embed(ids), .sampling = sampling, .seed = common.seed};
      },
      [&](int64_t, const Reply& result) {
        const std::string text = model.tokenizer.Decode(result.ids);
        if (!common.json) {
          std::cout << text << "\n";
          return;
        }
        nlohmann::ordered_json printed = {
            {"text", text},
            {"ids", result.ids},
            {"logprobs", result.logprobs},
            {"finish_reason", result.finish.reason == FinishReason::kStop ? "stop" : "length"},
            {"prompt_tokens", ids.size()},
            {"quant", options.quant}};
        if (!options.raw && model.chat.uses_date()) printed["chat_date"] = model.chat.date();
        PrintJson(printed);
      });
}

void Run(const GenerateArguments& options, const CommonOptions& common) {
  const bool from_file = !options.sample.prompts.empty();
  if (from_file == !options.prompt.empty()) {
    FailUsage({.where = "generate", .what = "needs either a PROMPT or --prompts FILE"});
  }
  if (options.raw && !options.date.empty()) FailUsage({.where = "--date", .what = "is of no use with --raw"});
  if (from_file && options.sample.out.empty()) FailUsage({.where = "generate", .what = "--prompts needs --out FILE"});
  const at::ScalarType compute = SetUpCompute(common);
  LanguageModel model =
      LanguageModel::Load(options.model, {.compute = compute, .packing = PackingOf(options.quant, compute)});
  if (!options.date.empty()) model.chat = ChatFormat::Load(options.model, {.date = options.date});
  if (!from_file) return GenerateOne(model, options, common);
  SampleOptions sample = options.sample;
  sample.seed = common.seed;
  const SampleReport report = SampleCorpus(model, sample);
  if (common.json) {
    PrintJson({{"documents", report.documents},
               {"tokens", report.tokens},
               {"tokens_per_second", report.tokens_per_second},
               {"quant", options.quant},
               {"out", sample.out.string()}});
  } else {
    fmt::print("{} texts in {} ({:.0f} tokens/s)\n", report.documents, sample.out.string(), report.tokens_per_second);
  }
}

}  // namespace

void AddGenerate(Command root, CommonOptions& common) {
  auto options = std::make_shared<GenerateArguments>();
  Command command = AddCommand(root, common, "generate", "Let a base model write: one prompt, or a corpus from many",
                               "nla generate --model DIR \"Write a haiku about rain.\"");
  SamplingOptions& sampling = options->sample.sampling;
  AcceptHubName(command.AddOption("--model", options->model, "checkpoint directory").Required());
  command.AddOption("prompt", options->prompt, "the user's turn").TypeName("PROMPT");
  command.AddFlag("--raw", options->raw, "continue PROMPT as plain text, without the chat format");
  command.AddOption("--date", options->date,
                    "the day (YYYY-MM-DD) for chat templates that print one; 2024-07-26 without it");
  command.AddOption("--prompts", options->sample.prompts, "file of {\"prompt\": …} lines; the texts go to --out");
  command.AddOption("--out", options->sample.out, "corpus to write (.jsonl)");
  command.AddFlag("--replace", options->sample.replace, "with --out: lose what is there");
  command.AddOption("--limit", options->sample.limit, "only the first N prompts of the file");
  command.AddOption("--temperature", sampling.temperature, "0 is greedy").ShowDefault();
  command.AddOption("--top-p", sampling.top_p, "smallest set of tokens with this probability").ShowDefault();
  command.AddOption("--top-k", sampling.top_k, "the K most probable tokens; 0: all").ShowDefault();
  command.AddOption("--max-new-tokens", sampling.max_new_tokens, "longest reply").ShowDefault().Positive();
  command.AddOption("--slots", options->sample.slots, "sequences in flight").ShowDefault().Positive();
  AddQuantOption(command, options->quant);
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
