// `nla reconstruct` and `nla score`: explanations to vectors, and how near they come to the true ones.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/fail.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/pair_options.h"
#include "data/activation_table.h"
#include "data/corpus.h"
#include "data/vector_writer.h"
#include "nla/metrics.h"
#include "nla/reconstructor.h"

namespace nla::cli {
namespace {

struct ReconstructArguments {
  PairArguments pair;
  std::string text;
  std::string text_field = "explanation";
  ActivationInput input;
  std::string out;
};

constexpr int64_t kRowsAtOnce = 1024;

void CheckExplained(const ActivationReader& reader) {
  if (reader.schema() == RowSchema::kExplained) return;
  Fail({.where = reader.name(),
        .what = "has no explanations",
        .wanted = "a column api_explanation (see `nla label`, or `nla verbalize --out rows.parquet`)"});
}

std::vector<std::string> Explanations(const std::vector<ActivationRow>& rows) {
  std::vector<std::string> explanations;
  explanations.reserve(rows.size());
  for (const ActivationRow& row : rows) explanations.push_back(row.explanation);
  return explanations;
}

// Rows to reconstruct, with or without true vectors beside their explanations.
class ExplainedRows {
 public:
  explicit ExplainedRows(const ReconstructArguments& options) {
    const std::string path = options.input.path.string();
    if (path.ends_with(".jsonl")) {
      lines_.emplace(std::vector<std::filesystem::path>{path}, options.text_field);
      CorpusReader counted({path}, options.text_field);
      while (counted.Next()) ++count_;
    } else {
      reader_ = ActivationReader::Open(path, options.input.column);
      CheckExplained(*reader_);
      count_ = reader_->row_count();
    }
  }

  int64_t count() const { return count_; }
  bool has_text() const { return reader_ && reader_->has_text(); }
  std::vector<ActivationRow> Next() {
    if (reader_) return reader_->Next(kRowsAtOnce);
    std::vector<ActivationRow> rows;
    while (static_cast<int64_t>(rows.size()) < kRowsAtOnce) {
      std::optional<Document> line = lines_->Next();
      if (!line) break;
      rows.emplace_back().explanation = std::move(line->text);
    }
    return rows;
  }

 private:
  std::optional<ActivationReader> reader_;
  std::optional<CorpusReader> lines_;
  int64_t count_ = 0;
};

void ReconstructFile(const Reconstructor& reconstructor, const ReconstructArguments& options,
                     const CommonOptions& common) {
  const int64_t d = reconstructor.d_model();
  ExplainedRows input(options);
  std::optional<ActivationWriter> rows_out;
  std::unique_ptr<VectorWriter> vectors_out;
  if (VectorWriter::Writes(options.out)) {
    vectors_out = VectorWriter::Open(options.out, input.count(), d);
  } else {
    rows_out.emplace(options.out, RowSchema::kExplained, d, input.has_text());
  }
  Progress progress("reconstruct", "rows", input.count());
  int64_t done = 0;
  for (auto rows = input.Next(); !rows.empty(); rows = input.Next()) {
    const std::vector<float> vectors = reconstructor.Run(Explanations(rows));
    if (vectors_out) vectors_out->Append(vectors);
    for (size_t i = 0; rows_out && i < rows.size(); ++i) {
      const auto begin = vectors.begin() + static_cast<int64_t>(i) * d;
      rows[i].activation.assign(begin, begin + d);
    }
    if (rows_out) rows_out->Append(rows);
    progress.Update(done += static_cast<int64_t>(rows.size()));
  }
  if (vectors_out) vectors_out->Finish();
  if (rows_out) rows_out->Finish();
  if (common.json) {
    PrintJson({{"rows", done}, {"out", options.out}});
  } else {
    fmt::print("{} vectors in {}\n", done, options.out);
  }
}

void RunReconstruct(const ReconstructArguments& options, const CommonOptions& common) {
  const at::ScalarType compute = SetUpCompute(common);
  if (options.text.empty() == options.input.path.empty()) {
    FailUsage({.where = "reconstruct", .what = "needs either --text or --input"});
  }
  if (!options.input.path.empty() && options.out.empty()) {
    FailUsage({.where = "reconstruct", .what = "--input needs --out FILE"});
  }
  const Reconstructor reconstructor = Reconstructor::Load(LocateCritic(options.pair, compute));
  if (!options.input.path.empty()) return ReconstructFile(reconstructor, options, common);
  const std::vector<float> vector = reconstructor.Run(std::vector<std::string>{options.text});
  if (common.json) {
    PrintJson({{"d_model", reconstructor.d_model()}, {"vector", vector}});
  } else {
    for (const float x : vector) fmt::print("{}\n", x);
  }
}

void RunScore(const ReconstructArguments& options, const CommonOptions& common) {
  const at::ScalarType compute = SetUpCompute(common);
  const RoleSource critic = LocateCritic(options.pair, compute);
  ActivationReader reader = OpenActivations(options.input, ReadModelSidecar(critic.directory)).reader;
  CheckExplained(reader);
  const Reconstructor reconstructor = Reconstructor::Load(critic);
  std::vector<float> gold;
  std::vector<float> predicted;
  Progress progress("score", "rows", reader.row_count());
  for (auto rows = reader.Next(kRowsAtOnce); !rows.empty(); rows = reader.Next(kRowsAtOnce)) {
    for (const ActivationRow& row : rows) gold.insert(gold.end(), row.activation.begin(), row.activation.end());
    const std::vector<float> vectors = reconstructor.Run(Explanations(rows));
    predicted.insert(predicted.end(), vectors.begin(), vectors.end());
    progress.Update(static_cast<int64_t>(gold.size()) / reconstructor.d_model());
  }
  const int64_t d = reconstructor.d_model();
  const auto summarize = [&](const std::vector<float>& vectors) { return Summarize(vectors, gold, d, common.seed); };
  const FveSummary summary = summarize(predicted);
  const FveSummary shuffled = summarize(ShuffledRows(predicted, d));
  const FveSummary empty = summarize(RepeatedRow(reconstructor.Run(std::vector<std::string>{""}), reader.row_count()));
  if (common.json) {
    nlohmann::ordered_json out = ToJson(summary);
    out["floors"] = {{"shuffled", ToJson(shuffled)}, {"empty", ToJson(empty)}};
    return PrintJson(out);
  }
  fmt::print("{} rows\n\n", summary.n);
  PrintScoreHeader();
  PrintScores("explanations", summary);
  PrintScores("floor: another row's explanation", shuffled);
  PrintScores("floor: empty text", empty);
}

}  // namespace

void AddReconstruct(Command root, CommonOptions& common) {
  auto options = std::make_shared<ReconstructArguments>();
  Command command =
      AddCommand(root, common, "reconstruct", "Turn explanations back into vectors",
                 "nla reconstruct --ar demo/pair/ar --base DIR --text \"Ends with \\\"rain\\\".\" --json");
  AddCriticOptions(command, options->pair);
  command.AddOption("--text", options->text, "one explanation; the vector is printed");
  command.AddOption("--input", options->input.path,
                    "file with explanations: Parquet (column api_explanation), or .jsonl as `verbalize` writes it");
  command.AddOption("--text-field", options->text_field, "key of the explanations in .jsonl").ShowDefault();
  command.AddOption("--out", options->out,
                    "the vectors: .npy, .safetensors or .jsonl; *.parquet: the same rows with these vectors");
  command.OnRun([options, &common] { RunReconstruct(*options, common); });
}

void AddScore(Command root, CommonOptions& common) {
  auto options = std::make_shared<ReconstructArguments>();
  Command command = AddCommand(root, common, "score", "Score explanations against the vectors beside them",
                               "nla score --ar demo/pair/ar --base DIR --input demo/heldout.parquet");
  AddCriticOptions(command, options->pair);
  command
      .AddOption("--input", options->input.path,
                 "explanations and activations: Parquet, or .jsonl with api_explanation and the vectors")
      .Required()
      .TypeName("FILE");
  AddActivationOptions(command, options->input);
  command.OnRun([options, &common] { RunScore(*options, common); });
}

}  // namespace nla::cli
