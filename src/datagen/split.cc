#include "datagen/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/fail.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/random.h"
#include "data/text_column.h"
#include "datagen/stage_io.h"

namespace nla {
namespace {

constexpr std::array<const char*, 3> kBuckets = {"av_sft", "ar_sft", "rl"};

void CheckFractions(const SplitOptions& options) {
  double sum = 0;
  for (const double fraction : {options.av_fraction, options.ar_fraction, options.rl_fraction}) {
    if (!(fraction >= 0)) {
      FailUsage({.where = "split fractions", .what = "a fraction is negative", .found = fmt::format("{}", fraction)});
    }
    sum += fraction;
  }
  if (!(std::abs(sum - 1) < 1e-6)) {
    FailUsage({.where = "split fractions", .what = "they do not add up to 1", .found = fmt::format("{}", sum)});
  }
}

// Documents in sorted order: code points and UTF-8 bytes sort alike, so this is Python's order too.
std::vector<std::string> SortedDocuments(const std::filesystem::path& path) {
  std::unordered_set<std::string> seen;
  TextColumnReader column(path, "doc_id");
  for (int64_t row = 0; auto id = column.Next(); ++row) {
    if (id->empty()) Fail({.where = fmt::format("{}: row {}", path.string(), row), .what = "doc_id is empty"});
    seen.insert(std::move(*id));
  }
  std::vector<std::string> documents(seen.begin(), seen.end());
  std::sort(documents.begin(), documents.end());
  return documents;
}

// The bucket of every document; counts documents into the result.
std::unordered_map<std::string, size_t> Assign(std::vector<std::string> documents, const SplitOptions& options,
                                               SplitResult& result) {
  PythonRandom random(options.seed);
  random.Shuffle(documents);
  const auto count = static_cast<double>(documents.size());
  const auto av = static_cast<size_t>(count * options.av_fraction);
  const auto ar = static_cast<size_t>(count * options.ar_fraction);
  std::unordered_map<std::string, size_t> buckets;
  for (size_t i = 0; i < documents.size(); ++i) {
    const size_t bucket = i < av ? 0 : i < av + ar ? 1 : 2;
    buckets.emplace(std::move(documents[i]), bucket);
    ++result.buckets[bucket].documents;
  }
  result.documents = static_cast<int64_t>(documents.size());
  return buckets;
}

std::array<ActivationWriter, 3> OpenWriters(const SplitResult& result, const StageInput& input) {
  const auto open = [&](size_t bucket) {
    return ActivationWriter(result.buckets[bucket].path, input.reader.schema(), input.reader.d_model(),
                            input.reader.has_text());
  };
  return {open(0), open(1), open(2)};
}

void WriteSidecar(const SplitBucket& bucket, const StageInput& input, const SplitOptions& options,
                  const std::string& run_key) {
  DatasetSidecar sidecar =
      DeriveSidecar(input.sidecar, {.dataset_id = fmt::format("{}__{}_raw", input.sidecar.dataset_id, bucket.name),
                                    .row_count = bucket.rows,
                                    .created_by = options.created_by,
                                    .run_key = run_key});
  SetExtra(sidecar, "split_seed", std::to_string(options.seed));
  SetExtra(sidecar, "split_fractions",
           fmt::format("{}, {}, {}", options.av_fraction, options.ar_fraction, options.rl_fraction));
  SetExtra(sidecar, "split_documents", std::to_string(bucket.documents));
  WriteDatasetSidecar(bucket.path, sidecar);
}

// Takes rows and documents from the sidecars of an earlier, equal run.
void Recall(SplitResult& result) {
  for (SplitBucket& bucket : result.buckets) {
    const DatasetSidecar sidecar = ReadDatasetSidecar(bucket.path);
    bucket.rows = sidecar.row_count;
    bucket.documents = std::stoll(FindExtra(sidecar, "split_documents"));
    result.documents += bucket.documents;
  }
  result.up_to_date = true;
}

}  // namespace

SplitResult Split(const SplitOptions& options) {
  CheckFractions(options);
  StageInput input = OpenStageInput(options.input);
  if (input.sidecar.stage != "base") {
    Fail({.where = SidecarPath(options.input).string() + ": stage",
          .what = "only base rows are split",
          .found = input.sidecar.stage,
          .wanted = "base"});
  }
  SplitResult result;
  result.rows = input.reader.row_count();
  const std::string run_key =
      RunKey(input.sidecar, {"split", std::to_string(options.seed), fmt::format("{}", options.av_fraction),
                             fmt::format("{}", options.ar_fraction)});
  size_t done = 0;
  for (size_t b = 0; b < kBuckets.size(); ++b) {
    result.buckets[b].name = kBuckets[b];
    result.buckets[b].path = options.output_dir / fmt::format("{}_raw.parquet", kBuckets[b]);
    if (IsUpToDate(result.buckets[b].path, run_key, options.replace, options.input)) ++done;
  }
  if (done == kBuckets.size()) {
    Recall(result);
    return result;
  }
  const auto bucket_of = Assign(SortedDocuments(options.input), options, result);
  auto writers = OpenWriters(result, input);
  Progress progress("split", "rows", result.rows);
  for (auto rows = input.reader.Next(kStageRows); !rows.empty(); rows = input.reader.Next(kStageRows)) {
    for (const ActivationRow& row : rows) {
      const size_t bucket = bucket_of.at(row.doc_id);
      writers[bucket].Append({&row, 1});
      ++result.buckets[bucket].rows;
    }
    progress.Update(result.buckets[0].rows + result.buckets[1].rows + result.buckets[2].rows);
    ThrowIfInterrupted();
  }
  for (size_t b = 0; b < kBuckets.size(); ++b) {
    writers[b].Finish();
    WriteSidecar(result.buckets[b], input, options, run_key);
  }
  return result;
}

}  // namespace nla
