#include "data/text_column.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/fail.h"
#include "data/columns.h"
#include "data/parquet_file.h"

namespace nla {

struct TextColumnReader::Impl {
  explicit Impl(const std::filesystem::path& path) : stream(path) {}

  BatchStream stream;
  std::shared_ptr<arrow::RecordBatch> batch;
  int64_t position = 0;  // in batch
  int64_t row = 0;       // in the file
};

TextColumnReader::TextColumnReader(const std::filesystem::path& path, const std::string& column)
    : impl_(std::make_unique<Impl>(path)) {
  const arrow::Schema& schema = impl_->stream.schema();
  const int index = schema.GetFieldIndex(column);
  if (index < 0) {
    Fail({.where = path.string(),
          .what = fmt::format("no column {} (or more than one)", column),
          .found = fmt::format("{}", fmt::join(schema.field_names(), ", "))});
  }
  if (const auto& type = *schema.field(index)->type(); !IsTextColumn(type)) {
    Fail({.where = fmt::format("{}: column {}", path.string(), column),
          .what = "unsupported type",
          .found = type.ToString(),
          .wanted = "string or large_string"});
  }
  impl_->stream.Select({index});
}
TextColumnReader::TextColumnReader(TextColumnReader&&) noexcept = default;
TextColumnReader::~TextColumnReader() = default;

std::optional<std::string> TextColumnReader::Next() {
  Impl& at = *impl_;
  if (at.batch == nullptr || at.position == at.batch->num_rows()) {
    at.batch = at.stream.Next();
    at.position = 0;
    if (at.batch == nullptr) return std::nullopt;
    GuardArrow(at.stream.path(), [&] { CheckArrow(at.batch->ValidateFull(), at.stream.path()); });
  }
  const auto& column = *at.batch->column(0);
  if (column.IsNull(at.position)) {
    Fail({.where = fmt::format("{}: row {}", at.stream.path().string(), at.row), .what = "the text is null"});
  }
  ++at.row;
  return std::string(TextAt(column, at.position++));
}

}  // namespace nla
