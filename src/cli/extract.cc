// `nla extract`: a corpus to base rows of activations.
#include "datagen/extract.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/model_options.h"

namespace nla::cli {
namespace {

void Print(const ExtractReport& report, const ExtractOptions& options, const CommonOptions& common) {
  if (common.json) {
    PrintJson({{"rows", report.rows},
               {"documents", report.documents},
               {"documents_without_rows", report.documents_without},
               {"tokens", report.tokens},
               {"tokens_per_second", report.tokens_per_second},
               {"norms",
                {{"p5", report.norm_p5}, {"p50", report.norm_p50}, {"p75", report.norm_p75}, {"p95", report.norm_p95}}},
               {"layer", options.layer},
               {"out", options.out.string()}});
    return;
  }
  fmt::print("{} rows from {} documents in {}\n", report.rows, report.documents, options.out.string());
  fmt::print("{} tokens, {:.0f} tokens/s; norms: median {:.1f}, 75th percentile {:.1f}\n", report.tokens,
             report.tokens_per_second, report.norm_p50, report.norm_p75);
}

}  // namespace

void AddExtract(Command root, CommonOptions& common) {
  auto options = std::make_shared<ExtractOptions>();
  Command command =
      AddCommand(root, common, "extract", "Take activations of a corpus at block K, with the text before each",
                 "nla extract --model DIR --corpus texts.jsonl --layer 20 --out base.parquet");
  AcceptHubName(command.AddOption("--model", options->model, "checkpoint directory of the base model").Required());
  command.AddOption("--corpus", options->corpus, ".jsonl, .txt, .parquet or folders of them, in this order").Required();
  command.AddOption("--layer", options->layer, "K: the output of block K, 0-based (hidden_states[K+1])").Required();
  command.AddOption("--out", options->out, "Parquet file to write").Required();
  command.AddOption("--text-field", options->text_field, "field or column of the text").ShowDefault();
  command.AddOption("--corpus-name", options->corpus_name, "name in doc_id; default: the first path as given");
  command.AddOption("--split", options->split, "split in doc_id").ShowDefault();
  command.AddOption("--base-model", options->base_model, "name in the sidecar; default: the directory's");
  command.AddOption("--corpus-start", options->start, "first document of the slice").ShowDefault();
  command.AddOption("--corpus-length", options->length, "documents in the slice; 0: to the end").ShowDefault();
  command.AddOption("--max-length", options->max_length, "tokens a document is cut to").ShowDefault();
  command.AddOption("--positions-per-doc", options->positions.positions_per_doc, "activations of a document")
      .ShowDefault();
  command.AddOption("--min-position", options->positions.min_position, "first token that may be taken").ShowDefault();
  command.AddOption("--batch-tokens", options->batch_tokens, "tokens per forward pass").ShowDefault();
  command.AddFlag("!--no-text", options->keep_text, "leave out the text before each activation");
  command.AddFlag("--replace", options->replace, "lose what is at --out");
  command.OnRun([options, &common] {
    options->compute = SetUpCompute(common);
    options->positions.seed = common.seed;
    Print(Extract(*options), *options, common);
  });
}

}  // namespace nla::cli
