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

void ExplainChunk(const RowExplainer& explainer, std::vector<ActivationRow> rows, const VerbalizeOptions& options,
                  const Parts& parts, int64_t chunk) {
  std::vector<float> activations;
  for (const ActivationRow& row : rows) {
    activations.insert(activations.end(), row.activation.begin(), row.activation.end());
  }
  std::vector<ActivationRow> kept;
  for (Verbalization& one : explainer.run(activations, options)) {
    if (!one.explanation) continue;
    ActivationRow& row = rows[one.index];
    row.explanation = std::move(*one.explanation);
    kept.push_back(std::move(row));
  }
  ActivationWriter writer(parts.Rows(chunk), RowSchema::kExplained, explainer.sidecar.d_model);
  writer.Append(kept);
  writer.Finish();
  parts.Finish(chunk, {{"rows", static_cast<int64_t>(kept.size())}});
}

int64_t Merge(const Parts& parts, int64_t chunks, int64_t d_model, const ExplainRowsOptions& options) {
  ActivationWriter writer(options.output, RowSchema::kExplained, d_model);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    if (parts.Count(chunk, "rows") == 0) continue;
    writer.Append(ActivationReader::Open(parts.Rows(chunk)).Next(Parts::kChunkRows));
  }
  if (writer.row_count() == 0) {
    Fail({.where = options.output.string(), .what = "no reply of the verbalizer has its explanation tags"});
  }
  writer.Finish();
  return writer.row_count();
}

// The input's sidecar, or what is known where it has none.
DatasetSidecar SidecarOf(const std::filesystem::path& input, const CheckedActivations& rows,
                         const ModelSidecar& actor) {
  DatasetSidecar sidecar;
  if (rows.facts.sidecar) {
    sidecar = *rows.facts.sidecar;
    CheckStageInput(input, sidecar, rows.reader);
    return sidecar;
  }
  CheckNotEmpty(input, rows.reader);
  sidecar.base_model = rows.facts.base_model.empty() ? actor.base_checkpoint : rows.facts.base_model;
  sidecar.layer_index = rows.facts.layer ? *rows.facts.layer : actor.layer.value_or(0);
  sidecar.d_model = rows.reader.d_model();
  sidecar.row_count = rows.reader.row_count();
  sidecar.corpus = input.string();
  sidecar.dataset_id = fmt::format("activations_{}", input.filename().string());
  const auto changed = std::filesystem::last_write_time(input).time_since_epoch().count();
  sidecar.created_at = fmt::format("{} {}", std::filesystem::file_size(input), changed);  // tells contents apart
  return sidecar;
}

}  // namespace

ExplainRowsResult ExplainRows(const RowExplainer& explainer, CheckedActivations& rows,
                              const ExplainRowsOptions& options) {
  if (options.input == "-") {
    FailUsage({.where = "--out",
               .what = "rows from a pipe cannot be taken up again after a stop, as a Parquet output promises",
               .mend = "Name a file for the activations, or write .jsonl"});
  }
  const DatasetSidecar source = SidecarOf(options.input, rows, explainer.sidecar);
  if (options.verbalize.samples != 1) FailUsage({.where = "--n", .what = "a file of rows takes one explanation each"});
  const int64_t all = rows.reader.row_count();
  ExplainRowsResult result;
  result.rows_in = options.limit > 0 ? std::min(options.limit, all) : all;
  const SamplingOptions& sampling = options.verbalize.sampling;
  const std::string settings =
      fmt::format("{} {} {} {} seed {} rows {}", sampling.temperature, sampling.top_p, sampling.top_k,
                  sampling.max_new_tokens, options.verbalize.seed, result.rows_in) +
      (options.column.empty() ? "" : " column " + options.column);
  const std::string run_key = RunKey(source, {"explain_rows", options.verbalizer, settings});
  if (IsUpToDate(options.output, run_key, options.replace, options.input)) {
    result.rows_out = ReadDatasetSidecar(options.output).row_count;
    result.dropped = result.rows_in - result.rows_out;
    return result;
  }
  const Parts parts(options.output, run_key, options.replace);
  const int64_t chunks = (result.rows_in + Parts::kChunkRows - 1) / Parts::kChunkRows;
  Progress progress("verbalize", "rows", result.rows_in);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t begin = chunk * Parts::kChunkRows;
    const int64_t end = std::min(begin + Parts::kChunkRows, result.rows_in);
    if (parts.Has(chunk)) {
      progress.StartAt(end);
      continue;
    }
    ThrowIfInterrupted();
    rows.reader.Seek(begin);
    std::vector<ActivationRow> taken = rows.reader.Next(end - begin);
    if (!rows.reader.has_layer()) {
      for (ActivationRow& row : taken) row.activation_layer = source.layer_index;
    }
    VerbalizeOptions verbalize = options.verbalize;
    verbalize.first_row = begin;
    ExplainChunk(explainer, std::move(taken), verbalize, parts, chunk);
    progress.Update(end);
  }
  result.rows_out = Merge(parts, chunks, explainer.sidecar.d_model, options);
  result.dropped = result.rows_in - result.rows_out;
  DatasetSidecar sidecar = DeriveSidecar(source, {.dataset_id = source.dataset_id + "__verbalized",
                                                  .row_count = result.rows_out,
                                                  .created_by = "nla verbalize",
                                                  .run_key = run_key});
  sidecar.api_summaries = ApiSummaries{.model = options.verbalizer,
                                       .max_tokens = sampling.max_new_tokens,
                                       .temperature = sampling.temperature,
                                       .instruction_prompt = explainer.sidecar.actor_template};
  WriteDatasetSidecar(options.output, sidecar);
  parts.Remove();
  return result;
}

}  // namespace nla
