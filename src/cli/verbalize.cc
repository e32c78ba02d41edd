// `nla verbalize`: activations of a file to explanations.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/file.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/pair_options.h"
#include "datagen/explain_rows.h"
#include "nla/activation_input.h"
#include "nla/verbalizer.h"

namespace nla::cli {
namespace {

struct Options {
  PairArguments pair;
  ActivationInput input;
  std::string out;
  bool replace = false;
  VerbalizeOptions verbalize;
};

constexpr int64_t kRowsAtOnce = 4096;

nlohmann::ordered_json Describe(const Verbalization& one, int64_t first_row) {
  return {{"index", first_row + one.index},
          {"sample", one.sample},
          {"explanation", one.explanation ? nlohmann::ordered_json(*one.explanation) : nullptr},
          {"raw", one.raw},
          {"finish_reason", one.finish_reason == FinishReason::kStop ? "stop" : "length"},
          {"tokens", one.ids.size()},
          {"logprob", one.logprob}};
}

// --out FILE.parquet: the rows again, explained by the verbalizer.
void WriteRows(const Options& options, const CommonOptions& common, at::ScalarType compute) {
  const RoleSource actor = LocateActor(options.pair, compute);
  CheckedActivations checked = OpenActivations(options.input, ReadModelSidecar(actor.directory));
  const Verbalizer verbalizer = Verbalizer::Load(actor);
  ExplainRowsOptions rows{.input = options.input.path,
                          .column = options.input.column,
                          .output = options.out,
                          .verbalizer = options.pair.Shown(),
                          .verbalize = options.verbalize,
                          .limit = options.input.limit,
                          .replace = options.replace};
  rows.verbalize.seed = common.seed;
  const ExplainRowsResult result = ExplainRows(verbalizer, checked, rows);
  if (common.json) {
    PrintJson({{"rows_in", result.rows_in},
               {"rows_out", result.rows_out},
               {"dropped", result.dropped},
               {"out", options.out}});
  } else {
    fmt::print("{}: {} of {} rows explained\n", options.out, result.rows_out, result.rows_in);
  }
}

void Run(Options options, const CommonOptions& common) {
  const at::ScalarType compute = SetUpCompute(common);
  if (options.out.ends_with(".parquet")) return WriteRows(options, common, compute);
  const RoleSource actor = LocateActor(options.pair, compute);
  ActivationReader reader = OpenActivations(options.input, ReadModelSidecar(actor.directory)).reader;
  const Verbalizer verbalizer = Verbalizer::Load(actor);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  std::unique_ptr<AtomicFile> file;
  if (!options.out.empty()) file = std::make_unique<AtomicFile>(options.out);
  const int64_t all = options.input.limit > 0 ? std::min(options.input.limit, reader.row_count()) : reader.row_count();
  Progress progress("verbalize", "rows", all);
  for (int64_t first = 0; first < all;) {
    const auto batch = reader.Next(std::min(kRowsAtOnce, all - first));
    std::vector<float> vectors;
    for (const ActivationRow& row : batch) vectors.insert(vectors.end(), row.activation.begin(), row.activation.end());
    options.verbalize.seed = common.seed + static_cast<uint64_t>(first);
    for (const Verbalization& one : verbalizer.Run(vectors, options.verbalize)) {
      const nlohmann::ordered_json line = Describe(one, first);
      if (file) {
        file->Write(line.dump() + "\n");
      } else if (common.json) {
        rows.push_back(line);
      } else {
        fmt::print("{:>6}  {}\n", first + one.index, line["explanation"].is_null() ? one.raw : *one.explanation);
      }
    }
    first += static_cast<int64_t>(batch.size());
    progress.Update(first);
  }
  if (file) file->Commit();
  if (common.json)
    PrintJson(file ? nlohmann::ordered_json{{"rows", all}, {"out", options.out}}
                   : nlohmann::ordered_json{{"rows", rows}});
}

}  // namespace

void AddVerbalize(Command root, CommonOptions& common) {
  auto options = std::make_shared<Options>();
  Command command = AddCommand(root, common, "verbalize", "Turn the activations of a file into explanations",
                               "nla verbalize --av demo/pair/av --base DIR --activations acts.npy --layer 20");
  AddActorOptions(command, options->pair);
  command
      .AddOption("--activations", options->input.path,
                 "raw activations: .parquet, .npy, .npz, .safetensors or .jsonl; - reads .jsonl or .npy from stdin")
      .Required()
      .TypeName("FILE");
  AddActivationOptions(command, options->input);
  command.AddOption("--out", options->out,
                    "write one JSON object a line here; *.parquet: the rows with their explanations");
  command.AddOption("--limit", options->input.limit, "only the first N rows; 0: all").ShowDefault().NotNegative();
  command.AddFlag("--replace", options->replace, "with --out *.parquet: lose what is there");
  AddSamplesOption(command, options->verbalize);
  AddDecodingOptions(command, options->verbalize);
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
