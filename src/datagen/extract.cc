#include "datagen/extract.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "data/activation_table.h"
#include "data/corpus.h"
#include "data/dataset_sidecar.h"
#include "data/norm_statistics.h"
#include "datagen/dataset_id.h"
#include "datagen/parts.h"
#include "datagen/stage_io.h"
#include "model/decoder.h"
#include "weights/model_name.h"

namespace nla {
namespace {

constexpr int64_t kDocumentsPerPart = 256;
constexpr int64_t kCopyRows = 1024;

// A tokenised document waiting for its forward pass.
struct Pending {
  std::string doc_id;
  std::vector<TokenId> ids;
  std::vector<int64_t> positions;
};

// Turns documents into rows, several per forward pass.
class Extractor {
 public:
  Extractor(const ExtractOptions& options, const Checkpoint& checkpoint)
      : options_(options),
        tokenizer_(Tokenizer::Load(options.model)),
        decoder_(
            Decoder::Load(checkpoint, {.compute = options.compute, .blocks = options.layer + 1, .with_head = false})) {}

  // Rows of `documents` in their order; tokens are added to `tokens`.
  std::vector<ActivationRow> Rows(const std::vector<Document>& documents, ExtractReport& report) const {
    std::vector<ActivationRow> rows;
    std::vector<Pending> batch;
    int64_t batch_tokens = 0;
    for (const Document& document : documents) {
      Pending pending = Prepare(document);
      if (pending.positions.empty()) {
        ++report.documents_without;
        continue;
      }
      const auto length = static_cast<int64_t>(pending.ids.size());
      if (batch_tokens > 0 && batch_tokens + length > options_.batch_tokens) {
        Flush(batch, rows);
        batch_tokens = 0;
      }
      batch_tokens += length;
      report.tokens += length;
      batch.push_back(std::move(pending));
    }
    Flush(batch, rows);
    return rows;
  }

  int64_t d_model() const { return decoder_.spec().d_model; }

 private:
  Pending Prepare(const Document& document) const {
    Pending pending{fmt::format("{}:{}:{}", options_.corpus_name, options_.split, document.index),
                    tokenizer_.Encode(document.text),
                    {}};
    const int64_t limit = std::min(options_.max_length, decoder_.spec().max_positions);
    if (static_cast<int64_t>(pending.ids.size()) > limit) pending.ids.resize(limit);
    pending.positions = ChoosePositions(
        pending.ids, [&](TokenId id) { return tokenizer_.IsSpecial(id); }, pending.doc_id, options_.positions);
    // No row needs what stands after the last position.
    if (!pending.positions.empty()) {
      pending.ids.resize(*std::max_element(pending.positions.begin(), pending.positions.end()) + 1);
    }
    return pending;
  }

  void Flush(std::vector<Pending>& documents, std::vector<ActivationRow>& rows) const {
    if (documents.empty()) return;
    PackedBatch batch;
    std::vector<TokenId> ids;
    std::vector<int64_t> picked;
    for (const Pending& document : documents) {
      for (const int64_t position : document.positions) picked.push_back(static_cast<int64_t>(ids.size()) + position);
      ids.insert(ids.end(), document.ids.begin(), document.ids.end());
      batch.lengths.push_back(static_cast<int64_t>(document.ids.size()));
    }
    const at::Tensor hidden_TD = decoder_.Forward(decoder_.Embed(ids), batch);
    const at::Tensor chosen_RD = hidden_TD.index_select(0, at::tensor(picked, at::kLong));
    const float* values = chosen_RD.const_data_ptr<float>();
    for (const Pending& document : documents) {
      for (const int64_t position : document.positions) {
        ActivationRow row;
        row.n_raw_tokens = position + 1;
        row.activation_layer = options_.layer;
        row.doc_id = document.doc_id;
        row.activation.assign(values, values + d_model());
        if (options_.keep_text) row.text = tokenizer_.Decode(std::span(document.ids).first(position + 1));
        values += d_model();
        rows.push_back(std::move(row));
      }
    }
    documents.clear();
  }

  const ExtractOptions& options_;
  Tokenizer tokenizer_;
  Decoder decoder_;
};

// A file's path, size and time of its last change; a folder's, of every file in it.
std::string Fingerprint(const fs::path& path) {
  if (!fs::exists(path)) return path.string() + "\n";  // CorpusReader tells of it
  if (!fs::is_directory(path)) {
    return fmt::format("{} {} {}\n", path.string(), fs::file_size(path),
                       fs::last_write_time(path).time_since_epoch().count());
  }
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(Fingerprint(entry.path()));
  }
  std::sort(files.begin(), files.end());
  return fmt::format("{}\n{}", path.string(), fmt::join(files, ""));
}

std::string RunKeyOf(const ExtractOptions& o, const std::string& weights_hash) {
  std::string corpora;
  for (const fs::path& path : o.corpus) corpora += Fingerprint(path);
  return Sha256Hex(
      fmt::format("extract\n{}\n{}{} {} {} {}\nlayer {} slice {} {} cut {}\npositions {} from {} seed {}\n{} text {}\n",
                  weights_hash, corpora, o.text_field, o.corpus_name, o.split, o.base_model, o.layer, o.start, o.length,
                  o.max_length, o.positions.positions_per_doc, o.positions.min_position, o.positions.seed,
                  o.compute == at::kFloat ? "fp32" : "bf16", o.keep_text));
}

// Reads documents and writes one part for every kDocumentsPerPart of them; parts that are there are only counted.
int64_t WriteParts(const ExtractOptions& options, const Extractor& extractor, const Parts& parts,
                   ExtractReport& report) {
  CorpusReader corpus(options.corpus, options.text_field);
  Progress progress("extract", "documents", options.length);
  int64_t chunk = 0;
  int64_t run_tokens = 0;
  bool more = true;
  for (; more; ++chunk) {
    ThrowIfInterrupted();
    std::vector<Document> documents;
    while (static_cast<int64_t>(documents.size()) < kDocumentsPerPart) {
      if (options.length > 0 && report.documents + static_cast<int64_t>(documents.size()) >= options.length) break;
      std::optional<Document> document = corpus.Next();
      if (!document) break;
      if (document->index >= options.start) documents.push_back(std::move(*document));
    }
    if (documents.empty()) break;
    more = static_cast<int64_t>(documents.size()) == kDocumentsPerPart;
    report.documents += static_cast<int64_t>(documents.size());
    if (parts.Has(chunk)) {
      report.tokens += parts.Count(chunk, "tokens");
      report.documents_without += parts.Count(chunk, "documents_without");
      progress.StartAt(report.documents);
      continue;
    }
    ExtractReport part;
    const std::vector<ActivationRow> rows = extractor.Rows(documents, part);
    ActivationWriter writer(parts.Rows(chunk), RowSchema::kBase, extractor.d_model(), options.keep_text);
    writer.Append(rows);
    writer.Finish();
    parts.Finish(chunk, {{"tokens", part.tokens},
                         {"documents_without", part.documents_without},
                         {"rows", static_cast<int64_t>(rows.size())}});
    report.tokens += part.tokens;
    report.documents_without += part.documents_without;
    run_tokens += part.tokens;
    report.tokens_per_second = static_cast<double>(run_tokens) / std::max(progress.seconds(), 1e-9);
    progress.Update(report.documents, fmt::format("{:.0f} tokens/s", report.tokens_per_second));
  }
  return chunk;
}

NormSummary MergeParts(const ExtractOptions& options, const Parts& parts, int64_t chunks, int64_t d_model,
                       ExtractReport& report) {
  ActivationWriter writer(options.out, RowSchema::kBase, d_model, options.keep_text);
  NormStatistics norms;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    if (parts.Count(chunk, "rows") == 0) continue;
    ActivationReader reader = ActivationReader::Open(parts.Rows(chunk));
    for (auto rows = reader.Next(kCopyRows); !rows.empty(); rows = reader.Next(kCopyRows)) {
      for (const ActivationRow& row : rows) norms.Add(row.activation);
      writer.Append(rows);
    }
  }
  report.rows = writer.row_count();
  if (report.rows == 0) {
    parts.Remove();
    Fail({.where = options.corpus.front().string(),
          .what = fmt::format("gives no rows: none of {} documents has a token at position {} or later",
                              report.documents, options.positions.min_position),
          .mend = "Give longer documents or a smaller --min-position"});
  }
  writer.Finish();
  return norms.Summary();
}

void CheckOptions(const ExtractOptions& options, const ModelSpec& spec) {
  if (options.layer < 0 || options.layer >= spec.n_blocks) {
    FailUsage({.where = "--layer",
               .what = "no such block (K means the output of block K, 0-based)",
               .found = std::to_string(options.layer),
               .wanted = fmt::format("0 to {}", spec.n_blocks - 1)});
  }
  if (options.start < 0 || options.length < 0 || options.max_length < 1 || options.positions.positions_per_doc < 1 ||
      options.positions.min_position < 0) {
    FailUsage({.where = "extract", .what = "a negative slice, or fewer than one position or token a document"});
  }
}

DatasetSidecar SidecarOf(const ExtractOptions& options, int64_t d_model, const ExtractReport& report) {
  DatasetSidecar sidecar;
  sidecar.dataset_id =
      BaseDatasetId(options.base_model, options.layer, options.corpus_name, {options.start, report.documents});
  sidecar.row_count = report.rows;
  sidecar.base_model = options.base_model;
  sidecar.d_model = d_model;
  sidecar.layer_index = options.layer;
  sidecar.corpus = options.corpus_name;
  sidecar.corpus_start = options.start;
  sidecar.corpus_length = report.documents;
  sidecar.positions_per_doc = options.positions.positions_per_doc;
  sidecar.keep_debug_metadata = options.keep_text;
  sidecar.created_by = "nla extract";
  return sidecar;
}

// The figures that the sidecar keeps, by their names there.
std::vector<std::pair<std::string, double*>> Figures(ExtractReport& report) {
  return {{"norm_p5", &report.norm_p5},
          {"norm_p50", &report.norm_p50},
          {"norm_p75", &report.norm_p75},
          {"norm_p95", &report.norm_p95}};
}

ExtractReport ReportOf(const DatasetSidecar& sidecar) {
  ExtractReport report;
  report.rows = sidecar.row_count;
  report.documents = sidecar.corpus_length;
  for (const auto& [name, figure] : Figures(report)) *figure = std::stod("0" + FindExtra(sidecar, name));
  report.tokens = std::stoll("0" + FindExtra(sidecar, "tokens"));
  return report;
}

}  // namespace

ExtractReport Extract(const ExtractOptions& given) {
  const at::NoGradGuard no_grad;
  ExtractOptions options = given;
  if (options.corpus.empty()) FailUsage({.where = "--corpus", .what = "is missing"});
  if (options.corpus_name.empty()) options.corpus_name = options.corpus.front().string();
  if (options.base_model.empty()) options.base_model = ModelName(options.model);
  const Checkpoint checkpoint = Checkpoint::Open(options.model);
  CheckOptions(options, ParseModelSpec(checkpoint.config(), (options.model / "config.json").string()));
  const std::string weights_hash = checkpoint.WeightsHash();
  const std::string run_key = RunKeyOf(options, weights_hash);
  if (IsUpToDate(options.out, run_key, options.replace, options.model)) {
    return ReportOf(ReadDatasetSidecar(options.out));
  }
  const Extractor extractor(options, checkpoint);
  const Parts parts(options.out, run_key, options.replace);
  ExtractReport report;
  const int64_t chunks = WriteParts(options, extractor, parts, report);
  if (report.documents == 0) {
    Fail({.where = options.corpus.front().string(), .what = "holds no documents in the slice asked for"});
  }
  const NormSummary norms = MergeParts(options, parts, chunks, extractor.d_model(), report);
  report.norm_p5 = norms.p5;
  report.norm_p50 = norms.p50;
  report.norm_p75 = norms.p75;
  report.norm_p95 = norms.p95;
  DatasetSidecar sidecar = SidecarOf(options, extractor.d_model(), report);
  for (const auto& [name, figure] : Figures(report)) SetExtra(sidecar, name, fmt::format("{:.6g}", *figure));
  SetExtra(sidecar, "tokens", std::to_string(report.tokens));
  SetExtra(sidecar, "seed", std::to_string(options.positions.seed));
  SetExtra(sidecar, "min_position", std::to_string(options.positions.min_position));
  SetExtra(sidecar, "max_length", std::to_string(options.max_length));
  SetExtra(sidecar, "base_weights_hash", weights_hash);
  SetExtra(sidecar, "run_key", run_key);
  WriteDatasetSidecar(options.out, sidecar);
  parts.Remove();
  return report;
}

}  // namespace nla
