#include "datagen/explain_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "datagen/parts.h"
#include "datagen/stage_io.h"

namespace nla {
namespace {

constexpr int64_t kChunkRows = 512;

void ExplainChunk(const Verbalizer& verbalizer, std::vector<ActivationRow> rows, const VerbalizeOptions& options,
                  const Parts& parts, int64_t chunk) {
  std::vector<float> activations;
  for (const ActivationRow& row : rows) {
    activations.insert(activations.end(), row.activation.begin(), row.activation.end());
  }
  std::vector<ActivationRow> kept;
  for (Verbalization& one : verbalizer.Run(activations, options)) {
    if (!one.explanation) continue;
    ActivationRow& row = rows[one.index];
    row.explanation = std::move(*one.explanation);
    kept.push_back(std::move(row));
  }
  ActivationWriter writer(parts.Rows(chunk), RowSchema::kExplained, verbalizer.d_model());
  writer.Append(kept);
  writer.Finish();
  parts.Finish(chunk, {{"rows", static_cast<int64_t>(kept.size())}});
}

int64_t Merge(const Parts& parts, int64_t chunks, int64_t d_model, const ExplainRowsOptions& options) {
  ActivationWriter writer(options.output, RowSchema::kExplained, d_model);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    if (parts.Count(chunk, "rows") == 0) continue;
    writer.Append(ActivationReader::Open(parts.Rows(chunk)).Next(kChunkRows));
  }
  if (writer.row_count() == 0) {
    Fail({.where = options.output.string(), .what = "no reply of the verbalizer has its explanation tags"});
  }
  writer.Finish();
  return writer.row_count();
}

}  // namespace

ExplainRowsResult ExplainRows(const Verbalizer& verbalizer, const ExplainRowsOptions& options) {
  StageInput input = OpenStageInput(options.input);
  if (input.sidecar.d_model != verbalizer.d_model()) {
    Fail({.where = options.input.string(),
          .what = "activations of another width than the verbalizer's",
          .found = std::to_string(input.sidecar.d_model),
          .wanted = std::to_string(verbalizer.d_model())});
  }
  if (options.verbalize.samples != 1) FailUsage({.where = "--n", .what = "a file of rows takes one explanation each"});
  const int64_t all = input.reader.row_count();
  ExplainRowsResult result;
  result.rows_in = options.limit > 0 ? std::min(options.limit, all) : all;
  const SamplingOptions& sampling = options.verbalize.sampling;
  const std::string settings =
      fmt::format("{} {} {} {} seed {} rows {}", sampling.temperature, sampling.top_p, sampling.top_k,
                  sampling.max_new_tokens, options.verbalize.seed, result.rows_in);
  const std::string run_key = RunKey(input.sidecar, {"explain_rows", options.verbalizer, settings});
  if (IsUpToDate(options.output, run_key, options.replace, options.input)) {
    result.rows_out = ReadDatasetSidecar(options.output).row_count;
    result.dropped = result.rows_in - result.rows_out;
    return result;
  }
  const Parts parts(options.output, run_key, options.replace);
  const int64_t chunks = (result.rows_in + kChunkRows - 1) / kChunkRows;
  Progress progress("verbalize", "rows", result.rows_in);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t begin = chunk * kChunkRows;
    const int64_t end = std::min(begin + kChunkRows, result.rows_in);
    if (parts.Has(chunk)) {
      progress.StartAt(end);
      continue;
    }
    ThrowIfInterrupted();
    input.reader.Seek(begin);
    VerbalizeOptions verbalize = options.verbalize;
    verbalize.seed += static_cast<uint64_t>(begin);  // each chunk draws anew, the same on every run
    ExplainChunk(verbalizer, input.reader.Next(end - begin), verbalize, parts, chunk);
    progress.Update(end);
  }
  result.rows_out = Merge(parts, chunks, verbalizer.d_model(), options);
  result.dropped = result.rows_in - result.rows_out;
  DatasetSidecar sidecar = DeriveSidecar(input.sidecar, {.dataset_id = input.sidecar.dataset_id + "__verbalized",
                                                         .row_count = result.rows_out,
                                                         .created_by = "nla verbalize",
                                                         .run_key = run_key});
  sidecar.api_summaries = ApiSummaries{.model = options.verbalizer,
                                       .max_tokens = sampling.max_new_tokens,
                                       .temperature = sampling.temperature,
                                       .instruction_prompt = verbalizer.sidecar().actor_template};
  WriteDatasetSidecar(options.output, sidecar);
  parts.Remove();
  return result;
}

}  // namespace nla
