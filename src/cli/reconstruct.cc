// `nla reconstruct` and `nla score`: explanations to vectors, and how near they come to the true ones.
#include <fmt/format.h>

#include <memory>

#include "base/fail.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/pair_options.h"
#include "data/activation_table.h"
#include "nla/metrics.h"
#include "nla/reconstructor.h"

namespace nla::cli {
namespace {

struct Options {
  std::string critic;
  std::string base;
  std::string text;
  std::string input;
  std::string out;
};

constexpr int64_t kRowsAtOnce = 1024;

ActivationReader OpenExplained(const std::string& path) {
  ActivationReader reader = ActivationReader::Open(path);
  if (reader.schema() != RowSchema::kExplained) {
    Fail({.where = path, .what = "has no explanations", .wanted = "a column api_explanation (see `nla label`)"});
  }
  return reader;
}

std::vector<std::string> Explanations(const std::vector<ActivationRow>& rows) {
  std::vector<std::string> explanations;
  for (const ActivationRow& row : rows) explanations.push_back(row.explanation);
  return explanations;
}

void ReconstructFile(const Reconstructor& reconstructor, const Options& options, const CommonOptions& common) {
  if (options.out.empty()) FailUsage({.where = "reconstruct", .what = "--input needs --out FILE"});
  ActivationReader reader = OpenExplained(options.input);
  ActivationWriter writer(options.out, RowSchema::kExplained, reconstructor.d_model(), reader.has_text());
  Progress progress("reconstruct", "rows", reader.row_count());
  for (auto rows = reader.Next(kRowsAtOnce); !rows.empty(); rows = reader.Next(kRowsAtOnce)) {
    const std::vector<float> vectors = reconstructor.Run(Explanations(rows));
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto begin = vectors.begin() + static_cast<int64_t>(i) * reconstructor.d_model();
      rows[i].activation.assign(begin, begin + reconstructor.d_model());
    }
    writer.Append(rows);
    progress.Update(writer.row_count());
  }
  writer.Finish();
  if (common.json) {
    PrintJson({{"rows", writer.row_count()}, {"out", options.out}});
  } else {
    fmt::print("{} vectors in {}\n", writer.row_count(), options.out);
  }
}

void RunReconstruct(const Options& options, const CommonOptions& common) {
  const at::ScalarType compute = SetUpCompute(common);
  if (options.text.empty() == options.input.empty()) {
    FailUsage({.where = "reconstruct", .what = "needs either --text or --input"});
  }
  const Reconstructor reconstructor = Reconstructor::Load({options.critic, options.base, compute});
  if (!options.input.empty()) return ReconstructFile(reconstructor, options, common);
  const std::vector<float> vector = reconstructor.Run(std::vector<std::string>{options.text});
  if (common.json) {
    PrintJson({{"d_model", reconstructor.d_model()}, {"vector", vector}});
  } else {
    for (const float x : vector) fmt::print("{}\n", x);
  }
}

void RunScore(const Options& options, const CommonOptions& common) {
  const at::ScalarType compute = SetUpCompute(common);
  ActivationReader reader = OpenExplained(options.input);
  const Reconstructor reconstructor = Reconstructor::Load({options.critic, options.base, compute});
  CheckWidth(reader.d_model(), reconstructor.d_model(), options.input);
  std::vector<float> gold;
  std::vector<float> predicted;
  Progress progress("score", "rows", reader.row_count());
  for (auto rows = reader.Next(kRowsAtOnce); !rows.empty(); rows = reader.Next(kRowsAtOnce)) {
    for (const ActivationRow& row : rows) gold.insert(gold.end(), row.activation.begin(), row.activation.end());
    const std::vector<float> vectors = reconstructor.Run(Explanations(rows));
    predicted.insert(predicted.end(), vectors.begin(), vectors.end());
    progress.Update(static_cast<int64_t>(gold.size()) / reconstructor.d_model());
  }
  const FveSummary summary = Summarize(predicted, gold, reconstructor.d_model(), common.seed);
  if (common.json) {
    PrintJson(ToJson(summary));
  } else {
    fmt::print("{} rows: FVE {:.3f} raw variance [{:.3f}, {:.3f}], {:.3f} mean norm; cosine {:.3f}; mse {:.4f}\n",
               summary.n, summary.fve_raw_variance, summary.fve_raw_variance_interval.low,
               summary.fve_raw_variance_interval.high, summary.fve_mean_norm, summary.cosine_mean, summary.mse);
  }
}

}  // namespace

void AddReconstruct(CLI::App& root, CommonOptions& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      AddCommand(root, common, "reconstruct", "Turn explanations back into vectors",
                 "nla reconstruct --ar demo/pair/ar --base DIR --text \"Ends with \\\"rain\\\".\" --json");
  command->add_option("--ar", options->critic, "reconstructor directory")->required();
  command->add_option("--text", options->text, "one explanation; the vector is printed");
  command->add_option("--input", options->input, "Parquet file with explanations");
  command->add_option("--out", options->out, "Parquet file: the same rows with the reconstructed vectors");
  AddBaseOption(command, options->base);
  command->callback([options, &common] { RunReconstruct(*options, common); });
}

void AddScore(CLI::App& root, CommonOptions& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command = AddCommand(root, common, "score", "Score explanations against the vectors beside them",
                                 "nla score --ar demo/pair/ar --base DIR --input demo/heldout.parquet");
  command->add_option("--ar", options->critic, "reconstructor directory")->required();
  command->add_option("--input", options->input, "Parquet file with explanations and activations")->required();
  AddBaseOption(command, options->base);
  command->callback([options, &common] { RunScore(*options, common); });
}

}  // namespace nla::cli
