// Parquet through Arrow for the rest of this folder: batches streamed in, row groups streamed out, and every failure of
// Arrow or Parquet turned into an nla::Error that names the file. Says nothing about what the columns mean.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "nla/error.h"

namespace nla {

// Throws nla::Error with Arrow's reason in one line.
[[noreturn]] void FailArrow(const std::filesystem::path& path, const std::string& reason);

inline void CheckArrow(const arrow::Status& status, const std::filesystem::path& path) {
  if (!status.ok()) FailArrow(path, status.message());
}

template <typename T>
T TakeArrow(arrow::Result<T> result, const std::filesystem::path& path) {
  if (!result.ok()) FailArrow(path, result.status().message());
  return std::move(result).ValueUnsafe();
}

// Parquet throws for files it cannot read, and a lying length can end in bad_alloc: both become nla::Error.
template <typename Work>
auto GuardArrow(const std::filesystem::path& path, Work&& work) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    FailArrow(path, e.what());
  }
}

// Streams record batches of some top-level columns, in file order, with bounded memory. Page checksums are verified
// where the file has them.
class BatchStream {
 public:
  static constexpr int64_t kDefaultBatchRows = 1024;
  explicit BatchStream(std::filesystem::path path, int64_t batch_rows = kDefaultBatchRows);

  const std::filesystem::path& path() const { return path_; }
  const arrow::Schema& schema() const { return *schema_; }
  int64_t rows() const { return rows_; }
  // Restricts later batches to these fields of schema(), in this order of the file; starts again at row 0.
  void Select(const std::vector<int>& fields);
  // The next batch starts at this row.
  void Seek(int64_t row);
  // nullptr at the end. A file that ends before its stated number of rows is an error.
  std::shared_ptr<arrow::RecordBatch> Next();

 private:
  std::filesystem::path path_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::vector<int> leaves_;
  int64_t rows_ = 0;
  int64_t next_row_ = 0;  // of the next batch
  int64_t skip_ = 0;      // rows of the current row group still to be passed over
};

// A Parquet file written row group by row group and put in place atomically by Finish(). zstd, page checksums.
class BatchSink {
 public:
  BatchSink(std::filesystem::path path, std::shared_ptr<arrow::Schema> schema);

  void Write(const std::shared_ptr<arrow::RecordBatch>& batch);  // one row group
  void Finish();

 private:
  std::filesystem::path path_;
  AtomicFile file_;
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

// Rows to a row group: enough to compress well, few enough that one of width 8192 stays under 64 MiB.
inline constexpr int64_t kRowGroupRows = 2048;

}  // namespace nla
