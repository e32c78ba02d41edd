#include "datagen/label.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

#include "base/fail.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "datagen/parts.h"
#include "datagen/stage_io.h"

namespace nla {
namespace {

constexpr int64_t kFewestFeatures = 2;

int64_t CountFeatures(std::string_view explanation) {
  int64_t features = 1;
  for (size_t at = 0; (at = explanation.find("\n\n", at)) != explanation.npos; at += 2) ++features;
  return features;
}

// "" for a reply that can be trained on.
std::string ReasonToDrop(const LabelReply& reply) {
  if (!reply.explanation) return reply.drop_reason;
  if (CountFeatures(*reply.explanation) < kFewestFeatures) return "fewer than 2 features";
  // The verbalizer's answer is cut out by these tags.
  for (const char* tag : {"<explanation>", "</explanation>"}) {
    if (reply.explanation->find(tag) != std::string::npos) return "an explanation tag inside";
  }
  return "";
}

void LabelChunk(const Parts& parts, int64_t chunk, ActivationReader& reader, LabelProvider& provider) {
  std::vector<ActivationRow> rows = reader.Next(Parts::kChunkRows);
  std::vector<std::string> texts;
  texts.reserve(rows.size());
  for (const ActivationRow& row : rows) texts.push_back(row.text);
  std::vector<LabelReply> replies = provider.Label(texts);
  NLA_CHECK(replies.size() == rows.size());
  std::map<std::string, int64_t> dropped;
  std::vector<ActivationRow> kept;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (const std::string reason = ReasonToDrop(replies[i]); !reason.empty()) {
      ++dropped[reason];
      continue;
    }
    rows[i].explanation = std::move(*replies[i].explanation);
    kept.push_back(std::move(rows[i]));
  }
  ActivationWriter writer(parts.Rows(chunk), RowSchema::kExplained, reader.d_model());
  writer.Append(kept);
  writer.Finish();
  parts.Finish(chunk, dropped);
}

// Puts the chunks together and counts.
void Merge(const Parts& parts, int64_t chunks, int64_t d_model, const fs::path& output, LabelResult& result) {
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (const auto& [reason, count] : parts.Note(chunk)) result.dropped[reason] += count;
  }
  int64_t lost = 0;
  for (const auto& [reason, count] : result.dropped) lost += count;
  if (lost == result.rows_in) {
    std::vector<std::string> reasons;
    for (const auto& [reason, count] : result.dropped) reasons.push_back(fmt::format("{} {}", count, reason));
    parts.Remove();
    Fail({.where = output.string(),
          .what = "no row has a usable explanation",
          .found = fmt::format("{}", fmt::join(reasons, ", "))});
  }
  ActivationWriter writer(output, RowSchema::kExplained, d_model);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    ActivationReader reader = ActivationReader::Open(parts.Rows(chunk));
    writer.Append(reader.Next(Parts::kChunkRows));
    ThrowIfInterrupted();
  }
  result.rows_out = writer.row_count();
  NLA_CHECK(result.rows_out + lost == result.rows_in);
  writer.Finish();
}

std::string KeyOf(const DatasetSidecar& input, const ApiSummaries& facts) {
  return RunKey(input, {"label", facts.model, std::to_string(facts.max_tokens), fmt::format("{}", facts.temperature),
                        facts.instruction_prompt});
}

}  // namespace

LabelResult Label(const LabelOptions& options) {
  const auto provider = MakeProvider(options.provider, options.provider_options);
  StageInput input = OpenStageInput(options.input);
  if (!input.reader.has_text()) {
    Fail({.where = options.input.string(),
          .what = "no column detokenized_text_truncated, so there is nothing to explain",
          .mend = "Extract with the texts kept"});
  }
  const std::string run_key = KeyOf(input.sidecar, provider->Facts());
  LabelResult result;
  result.rows_in = input.reader.row_count();
  if (IsUpToDate(options.output, run_key, options.replace, options.input)) {
    result.rows_out = ReadDatasetSidecar(options.output).row_count;
    result.up_to_date = true;
    return result;
  }
  const Parts parts(options.output, run_key, options.replace);
  const int64_t chunks = (result.rows_in + Parts::kChunkRows - 1) / Parts::kChunkRows;
  Progress progress("label", "rows", result.rows_in);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t end = std::min((chunk + 1) * Parts::kChunkRows, result.rows_in);
    if (parts.Has(chunk)) {
      result.rows_resumed += end - chunk * Parts::kChunkRows;
      continue;
    }
    if (chunk * Parts::kChunkRows == result.rows_resumed) progress.StartAt(result.rows_resumed);
    ThrowIfInterrupted();
    input.reader.Seek(chunk * Parts::kChunkRows);
    LabelChunk(parts, chunk, input.reader, *provider);
    progress.Update(end);
  }
  Merge(parts, chunks, input.reader.d_model(), options.output, result);
  DatasetSidecar sidecar = DeriveSidecar(input.sidecar, {.dataset_id = input.sidecar.dataset_id + "__explained",
                                                         .row_count = result.rows_out,
                                                         .created_by = options.created_by,
                                                         .run_key = run_key});
  sidecar.api_summaries = provider->Facts();
  for (const auto& [reason, count] : result.dropped) {
    SetExtra(sidecar, fmt::format("label_dropped {}", reason), std::to_string(count));
  }
  WriteDatasetSidecar(options.output, sidecar);
  parts.Remove();
  return result;
}

}  // namespace nla
