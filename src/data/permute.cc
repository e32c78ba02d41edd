#include "data/permute.h"

#include <arrow/array/builder_base.h>
#include <arrow/builder.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/fail.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "data/parquet_file.h"
#include "data/scratch_file.h"

namespace nla {
namespace {

// Some columns of a table on disk, any row of which can be copied into a builder.
class ScratchTable {
 public:
  // Takes the rest of the stream, whose batches must have `schema`.
  ScratchTable(const std::filesystem::path& folder, BatchStream& stream, const std::shared_ptr<arrow::Schema>& schema,
               const std::string& label)
      : path_(stream.path()), file_(folder) {
    GuardArrow(path_, [&] {
      Fill(folder, stream, schema, label);
      const auto bytes = file_.Map();
      const auto buffer = std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                          static_cast<int64_t>(bytes.size()));
      auto reader =
          TakeArrow(arrow::ipc::RecordBatchFileReader::Open(std::make_shared<arrow::io::BufferReader>(buffer)), path_);
      for (int i = 0; i < reader->num_record_batches(); ++i) Keep(TakeArrow(reader->ReadRecordBatch(i), path_));
    });
  }

  // The values of `column` at these rows, in this order.
  std::shared_ptr<arrow::Array> Gather(int column, std::span<const int64_t> rows) const {
    const auto builder = TakeArrow(arrow::MakeBuilder(batches_.front()->column(column)->type()), path_);
    for (const int64_t row : rows) {
      const auto batch =
          static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), row) - begins_.begin() - 1);
      const arrow::ArraySpan& values = spans_[batch][static_cast<size_t>(column)];
      CheckArrow(builder->AppendArraySlice(values, row - begins_[batch], 1), path_);
    }
    return TakeArrow(builder->Finish(), path_);
  }

 private:
  void Fill(const std::filesystem::path& folder, BatchStream& stream, const std::shared_ptr<arrow::Schema>& schema,
            const std::string& label) {
    Progress progress(label + ": read", "rows", stream.rows());
    const auto scratch = folder / "scratch file";
    auto sink = TakeArrow(arrow::io::FileOutputStream::Open(file_.Duplicate()), scratch);
    auto writer = TakeArrow(arrow::ipc::MakeFileWriter(sink, schema), scratch);
    for (int64_t done = 0; const auto batch = stream.Next();) {
      CheckArrow(batch->ValidateFull(), path_);
      CheckArrow(writer->WriteRecordBatch(*batch), scratch);
      progress.Update(done += batch->num_rows());
      ThrowIfInterrupted();
    }
    CheckArrow(writer->Close(), scratch);
    CheckArrow(sink->Close(), scratch);
  }

  void Keep(std::shared_ptr<arrow::RecordBatch> batch) {
    if (batch->num_rows() == 0) return;
    begins_.push_back(rows_);
    rows_ += batch->num_rows();
    std::vector<arrow::ArraySpan> spans;
    for (const auto& column : batch->columns()) spans.emplace_back(*column->data());
    spans_.push_back(std::move(spans));
    batches_.push_back(std::move(batch));
  }

  std::filesystem::path path_;  // of the input, for errors
  ScratchFile file_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches_;  // views of the mapped file
  std::vector<std::vector<arrow::ArraySpan>> spans_;          // views of batches_
  std::vector<int64_t> begins_;                               // first row of each batch
  int64_t rows_ = 0;
};

void CheckOrder(const std::filesystem::path& input, std::span<const int64_t> order, int64_t rows) {
  if (static_cast<int64_t>(order.size()) != rows) {
    Fail({.where = input.string(),
          .what = "the order is not one of this file's rows",
          .found = std::to_string(order.size()),
          .wanted = std::to_string(rows)});
  }
  std::vector<bool> seen(order.size());
  for (const int64_t row : order) {
    NLA_CHECK(row >= 0 && row < rows && !seen[static_cast<size_t>(row)]);
    seen[static_cast<size_t>(row)] = true;
  }
}

// The file being written, with its progress line.
class Output {
 public:
  Output(const std::filesystem::path& path, std::shared_ptr<arrow::Schema> schema, const PermuteOptions& options,
         int64_t rows)
      : schema_(schema), sink_(path, std::move(schema)), progress_(options.label + ": write", "rows", rows) {}

  void Write(arrow::ArrayVector columns, int64_t rows) {
    sink_.Write(arrow::RecordBatch::Make(schema_, rows, std::move(columns)));
    done_ += rows;
    progress_.Update(done_);
    ThrowIfInterrupted();
  }
  int64_t done() const { return done_; }
  void Finish() { sink_.Finish(); }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  BatchSink sink_;
  Progress progress_;
  int64_t done_ = 0;
};

void WriteWholeRows(const ScratchTable& table, std::span<const int64_t> order, int columns, Output& output) {
  for (size_t begin = 0; begin < order.size(); begin += kRowGroupRows) {
    const auto part = order.subspan(begin, std::min<size_t>(kRowGroupRows, order.size() - begin));
    arrow::ArrayVector gathered;
    for (int i = 0; i < columns; ++i) gathered.push_back(table.Gather(i, part));
    output.Write(std::move(gathered), static_cast<int64_t>(part.size()));
  }
}

void WriteOneColumn(const ScratchTable& table, std::span<const int64_t> order, BatchStream& stream, int column,
                    Output& output) {
  while (const auto batch = stream.Next()) {
    CheckArrow(batch->ValidateFull(), stream.path());
    const auto part = order.subspan(static_cast<size_t>(output.done()), static_cast<size_t>(batch->num_rows()));
    arrow::ArrayVector columns = batch->columns();
    columns[static_cast<size_t>(column)] = table.Gather(0, part);
    output.Write(std::move(columns), batch->num_rows());
  }
}

}  // namespace

void PermuteRows(const std::filesystem::path& input, const std::filesystem::path& output,
                 std::span<const int64_t> order, const PermuteOptions& options) {
  BatchStream stream(input, options.scratch_batch_rows);
  CheckOrder(input, order, stream.rows());
  auto schema = std::make_shared<arrow::Schema>(stream.schema());
  auto moving = schema;
  int column = -1;
  if (!options.only_column.empty()) {
    column = schema->GetFieldIndex(options.only_column);
    if (column < 0) {
      Fail({.where = input.string(),
            .what = fmt::format("no column {} (or more than one)", options.only_column),
            .found = fmt::format("{}", fmt::join(schema->field_names(), ", "))});
    }
    stream.Select({column});
    moving = arrow::schema({schema->field(column)});
  }
  const ScratchTable table(output.parent_path(), stream, moving, options.label);
  Output result(output, schema, options, stream.rows());
  GuardArrow(input, [&] {
    if (column < 0) {
      WriteWholeRows(table, order, schema->num_fields(), result);
    } else {
      BatchStream rest(input, kRowGroupRows);
      WriteOneColumn(table, order, rest, column, result);
    }
  });
  result.Finish();
}

void FillShuffledOrder(std::span<int64_t> order, PythonRandom& random) {
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = order.size(); i-- > 1;) std::swap(order[i], order[random.RandBelow(i + 1)]);
}

int64_t CountRows(const std::filesystem::path& parquet) { return BatchStream(parquet).rows(); }

}  // namespace nla
