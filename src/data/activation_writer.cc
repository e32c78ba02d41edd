// Writes activation tables with the columns, types and order of formats.md section 3, a bounded row group at a time.
#include <arrow/builder.h>
#include <fmt/format.h>

#include "base/fail.h"
#include "data/activation_table.h"
#include "data/parquet_file.h"

namespace nla {
namespace {

std::shared_ptr<arrow::DataType> MessagesType() {
  return arrow::list(arrow::struct_({arrow::field("role", arrow::utf8()), arrow::field("content", arrow::utf8())}));
}

// The columns of a stage, in file order.
std::shared_ptr<arrow::Schema> SchemaOf(RowSchema schema, int64_t d_model, bool keep_text) {
  const auto vector =
      arrow::field("activation_vector", arrow::fixed_size_list(arrow::float32(), static_cast<int32_t>(d_model)));
  const auto n_raw_tokens = arrow::field("n_raw_tokens", arrow::int64());
  const auto layer = arrow::field("activation_layer", arrow::int64());
  const auto doc_id = arrow::field("doc_id", arrow::utf8());
  const auto text = arrow::field("detokenized_text_truncated", arrow::utf8());
  arrow::FieldVector fields;
  if (schema == RowSchema::kBase || schema == RowSchema::kExplained) {
    fields = {n_raw_tokens, text, vector, layer, doc_id};
    if (!keep_text) fields.erase(fields.begin() + 1);
    if (schema == RowSchema::kExplained) fields.push_back(arrow::field("api_explanation", arrow::utf8()));
    return arrow::schema(fields);
  }
  fields.push_back(arrow::field("prompt", schema == RowSchema::kArSft ? arrow::utf8() : MessagesType()));
  if (schema == RowSchema::kAvSft) fields.push_back(arrow::field("response", arrow::utf8()));
  fields.insert(fields.end(), {vector, n_raw_tokens, layer, doc_id});
  if (keep_text) fields.push_back(text);
  return arrow::schema(fields);
}

using Rows = std::vector<ActivationRow>;

arrow::Result<std::shared_ptr<arrow::Array>> Integers(const Rows& rows, int64_t ActivationRow::*member) {
  arrow::Int64Builder builder;
  for (const ActivationRow& row : rows) ARROW_RETURN_NOT_OK(builder.Append(row.*member));
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> Texts(const Rows& rows, std::string ActivationRow::*member) {
  arrow::StringBuilder builder;
  for (const ActivationRow& row : rows) ARROW_RETURN_NOT_OK(builder.Append(row.*member));
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> Vectors(const Rows& rows, const std::shared_ptr<arrow::DataType>& type) {
  const auto values = std::make_shared<arrow::FloatBuilder>();
  arrow::FixedSizeListBuilder builder(arrow::default_memory_pool(), values, type);
  ARROW_RETURN_NOT_OK(values->Reserve(static_cast<int64_t>(rows.size() * rows.front().activation.size())));
  for (const ActivationRow& row : rows) {
    ARROW_RETURN_NOT_OK(builder.Append());
    ARROW_RETURN_NOT_OK(values->AppendValues(row.activation));
  }
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> Messages(const Rows& rows) {
  const auto role = std::make_shared<arrow::StringBuilder>();
  const auto content = std::make_shared<arrow::StringBuilder>();
  const auto message =
      std::make_shared<arrow::StructBuilder>(MessagesType()->field(0)->type(), arrow::default_memory_pool(),
                                             std::vector<std::shared_ptr<arrow::ArrayBuilder>>{role, content});
  arrow::ListBuilder builder(arrow::default_memory_pool(), message, MessagesType());
  for (const ActivationRow& row : rows) {
    ARROW_RETURN_NOT_OK(builder.Append());
    for (const ChatMessage& turn : row.prompt_messages) {
      ARROW_RETURN_NOT_OK(message->Append());
      ARROW_RETURN_NOT_OK(role->Append(turn.role));
      ARROW_RETURN_NOT_OK(content->Append(turn.content));
    }
  }
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> Column(const Rows& rows, const arrow::Field& field) {
  const std::string& name = field.name();
  if (name == "activation_vector") return Vectors(rows, field.type());
  if (name == "n_raw_tokens") return Integers(rows, &ActivationRow::n_raw_tokens);
  if (name == "activation_layer") return Integers(rows, &ActivationRow::activation_layer);
  if (name == "doc_id") return Texts(rows, &ActivationRow::doc_id);
  if (name == "detokenized_text_truncated") return Texts(rows, &ActivationRow::text);
  if (name == "api_explanation") return Texts(rows, &ActivationRow::explanation);
  if (name == "response") return Texts(rows, &ActivationRow::response);
  NLA_CHECK(name == "prompt");
  return field.type()->id() == arrow::Type::STRING ? Texts(rows, &ActivationRow::prompt_text) : Messages(rows);
}

int64_t CheckedWidth(const std::filesystem::path& path, int64_t d_model) {
  if (d_model < 1 || d_model > (int64_t{1} << 24)) {
    Fail({.where = path.string(),
          .what = "unusable vector width",
          .found = std::to_string(d_model),
          .wanted = "1 to 16777216"});
  }
  return d_model;
}

}  // namespace

struct ActivationWriter::Impl {
  Impl(const std::filesystem::path& file, const std::shared_ptr<arrow::Schema>& columns, int64_t width)
      : path(file), schema(columns), d_model(width), sink(file, columns) {}

  void Flush() {
    if (pending.empty()) return;
    GuardArrow(path, [&] {
      arrow::ArrayVector arrays;
      for (const auto& field : schema->fields()) arrays.push_back(TakeArrow(Column(pending, *field), path));
      sink.Write(arrow::RecordBatch::Make(schema, static_cast<int64_t>(pending.size()), std::move(arrays)));
    });
    pending.clear();
  }

  std::filesystem::path path;
  std::shared_ptr<arrow::Schema> schema;
  int64_t d_model;
  BatchSink sink;
  Rows pending;
  int64_t rows = 0;
};

ActivationWriter::ActivationWriter(std::filesystem::path path, RowSchema schema, int64_t d_model, bool keep_text)
    : impl_(std::make_unique<Impl>(path, SchemaOf(schema, CheckedWidth(path, d_model), keep_text), d_model)) {}
ActivationWriter::ActivationWriter(ActivationWriter&&) noexcept = default;
ActivationWriter::~ActivationWriter() = default;

void ActivationWriter::Append(std::span<const ActivationRow> rows) {
  for (const ActivationRow& row : rows) {
    if (static_cast<int64_t>(row.activation.size()) != impl_->d_model) {
      Fail({.where = fmt::format("{}: row {}", impl_->path.string(), impl_->rows),
            .what = "vector width differs from the file's",
            .found = std::to_string(row.activation.size()),
            .wanted = std::to_string(impl_->d_model)});
    }
    impl_->pending.push_back(row);
    ++impl_->rows;
    if (static_cast<int64_t>(impl_->pending.size()) == kRowGroupRows) impl_->Flush();
  }
}

int64_t ActivationWriter::row_count() const { return impl_->rows; }

void ActivationWriter::Finish() {
  impl_->Flush();
  impl_->sink.Finish();
}

}  // namespace nla
