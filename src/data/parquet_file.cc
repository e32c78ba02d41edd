#include "data/parquet_file.h"

#include <arrow/io/file.h>
#include <arrow/table.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>

#include <algorithm>

#include "base/fail.h"

namespace nla {
namespace {

void CollectLeaves(const parquet::arrow::SchemaField& field, std::vector<int>& leaves) {
  if (field.is_leaf()) leaves.push_back(field.column_index);
  for (const auto& child : field.children) CollectLeaves(child, leaves);
}

std::unique_ptr<parquet::arrow::FileReader> OpenReader(const std::filesystem::path& path, int64_t batch_rows) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) FailArrow(path, "it is a directory");
  parquet::ReaderProperties properties;
  properties.enable_buffered_stream();
  properties.set_page_checksum_verification(true);
  parquet::arrow::FileReaderBuilder builder;
  CheckArrow(builder.OpenFile(path.string(), /*memory_map=*/false, properties), path);
  parquet::ArrowReaderProperties arrow_properties;
  arrow_properties.set_use_threads(false);
  arrow_properties.set_pre_buffer(false);
  arrow_properties.set_batch_size(batch_rows);
  builder.properties(arrow_properties);
  return TakeArrow(builder.Build(), path);
}

}  // namespace

void FailArrow(const std::filesystem::path& path, const std::string& reason) {
  std::string line = reason;
  std::replace(line.begin(), line.end(), '\n', ' ');
  Complaint complaint{.where = path.string(), .what = "Parquet: " + line};
  if (line.find("No space left") != std::string::npos) complaint.mend = "Free some space and run the command again";
  Fail(complaint);
}

BatchStream::BatchStream(std::filesystem::path path, int64_t batch_rows) : path_(std::move(path)) {
  GuardArrow(path_, [&] {
    reader_ = OpenReader(path_, batch_rows);
    CheckArrow(reader_->GetSchema(&schema_), path_);
    const auto metadata = reader_->parquet_reader()->metadata();
    rows_ = metadata->num_rows();
    int64_t total = 0;
    for (int g = 0; g < metadata->num_row_groups(); ++g) {
      const int64_t rows = metadata->RowGroup(g)->num_rows();
      if (rows < 0 || rows > rows_ - total) FailArrow(path_, "row groups do not add up to the number of rows");
      total += rows;
    }
    if (total != rows_) FailArrow(path_, "row groups do not add up to the number of rows");
  });
  std::vector<int> all(static_cast<size_t>(schema_->num_fields()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
  Select(all);
}

void BatchStream::Select(const std::vector<int>& fields) {
  leaves_.clear();
  GuardArrow(path_, [&] {
    const auto& known = reader_->manifest().schema_fields;
    for (const int field : fields) CollectLeaves(known.at(static_cast<size_t>(field)), leaves_);
  });
  Seek(0);
}

void BatchStream::Seek(int64_t row) {
  NLA_CHECK(row >= 0 && row <= rows_);
  GuardArrow(path_, [&] {
    const auto metadata = reader_->parquet_reader()->metadata();
    std::vector<int> groups;
    int64_t begin = 0;
    skip_ = 0;
    for (int g = 0; g < metadata->num_row_groups(); ++g) {
      const int64_t end = begin + metadata->RowGroup(g)->num_rows();
      if (groups.empty() && end > row) skip_ = row - begin;
      if (end > row) groups.push_back(g);
      begin = end;
    }
    batches_ = TakeArrow(reader_->GetRecordBatchReader(groups, leaves_), path_);
  });
  next_row_ = row;
}

std::shared_ptr<arrow::RecordBatch> BatchStream::Next() {
  return GuardArrow(path_, [&]() -> std::shared_ptr<arrow::RecordBatch> {
    while (next_row_ < rows_) {
      std::shared_ptr<arrow::RecordBatch> batch;
      CheckArrow(batches_->ReadNext(&batch), path_);
      if (batch == nullptr) {
        FailArrow(path_, "it ends at row " + std::to_string(next_row_) + " of " + std::to_string(rows_));
      }
      const int64_t passed = std::min(skip_, batch->num_rows());
      skip_ -= passed;
      if (passed == batch->num_rows()) continue;
      if (passed > 0) batch = batch->Slice(passed);
      if (batch->num_rows() > rows_ - next_row_) FailArrow(path_, "it has more rows than it states");
      CheckArrow(batch->Validate(), path_);
      next_row_ += batch->num_rows();
      return batch;
    }
    return nullptr;
  });
}

BatchSink::BatchSink(std::filesystem::path path, std::shared_ptr<arrow::Schema> schema)
    : path_(path), file_(std::move(path)), schema_(std::move(schema)) {
  parquet::WriterProperties::Builder properties;
  properties.compression(parquet::Compression::ZSTD)->compression_level(1)->enable_page_checksum();
  // Distinct floats gain nothing from a dictionary; texts that repeat (the prompt of every av_sft row) gain all.
  for (const auto& field : schema_->fields()) {
    if (field->type()->id() == arrow::Type::FIXED_SIZE_LIST || field->type()->id() == arrow::Type::LIST) {
      if (field->type()->field(0)->type()->id() == arrow::Type::FLOAT) {
        properties.disable_dictionary(field->name() + ".list.element");
      }
    }
  }
  // store_schema keeps fixed_size_list a fixed_size_list for every Arrow reader.
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  GuardArrow(path_, [&] {
    auto stream = TakeArrow(arrow::io::FileOutputStream::Open(file_.temporary_path().string()), path_);
    writer_ = TakeArrow(parquet::arrow::FileWriter::Open(*schema_, arrow::default_memory_pool(), std::move(stream),
                                                         properties.build(), arrow_properties),
                        path_);
  });
}

void BatchSink::Write(const std::shared_ptr<arrow::RecordBatch>& batch) {
  if (batch->num_rows() == 0) return;
  GuardArrow(path_, [&] {
    const auto table = TakeArrow(arrow::Table::FromRecordBatches(schema_, {batch}), path_);
    CheckArrow(writer_->WriteTable(*table, batch->num_rows()), path_);
  });
}

void BatchSink::Finish() {
  GuardArrow(path_, [&] { CheckArrow(writer_->Close(), path_); });
  writer_.reset();
  file_.Commit();
}

}  // namespace nla
