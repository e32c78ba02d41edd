// Activation rows of Parquet files of any stage, ours or another tool's.
#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "data/activation_source.h"
#include "data/columns.h"
#include "data/parquet_file.h"

namespace nla {
namespace {

// Where each known column lies in the record batches; -1 for a column that the file lacks.
struct Layout {
  int vector = -1, n_raw_tokens = -1, layer = -1, doc_id = -1, text = -1, explanation = -1, prompt = -1, response = -1;
  bool prompt_is_messages = false;
};

struct Wanted {
  const char* name;
  int Layout::*place;
  bool (*accepts)(const arrow::DataType&);
  const char* types;
};

constexpr const char* kTextTypes = "string or large_string";
constexpr const char* kIntegerTypes = "int64 or int32";
constexpr const char* kVectorTypes = "fixed_size_list, list or large_list of float16, float32 or float64";
const Wanted kWanted[] = {
    {"n_raw_tokens", &Layout::n_raw_tokens, IsIntegerColumn, kIntegerTypes},
    {"activation_layer", &Layout::layer, IsIntegerColumn, kIntegerTypes},
    {"doc_id", &Layout::doc_id, IsTextColumn, kTextTypes},
    {"detokenized_text_truncated", &Layout::text, IsTextColumn, kTextTypes},
    {"api_explanation", &Layout::explanation, IsTextColumn, kTextTypes},
    {"response", &Layout::response, IsTextColumn, kTextTypes},
    {"prompt", &Layout::prompt,
     [](const arrow::DataType& type) { return IsTextColumn(type) || IsMessagesColumn(type); },
     "string, or list of struct with role and content"},
};

class ParquetSource final : public ActivationSource {
 public:
  ParquetSource(const std::filesystem::path& path, const std::string& vector_column) : stream_(path) {
    std::vector<int> fields;
    const auto find = [&](const std::string& name) { return stream_.schema().GetFieldIndex(name); };
    const auto require = [&](int index, const Wanted& wanted) {
      const auto& type = *stream_.schema().field(index)->type();
      if (!wanted.accepts(type)) {
        Fail({.where = fmt::format("{}: column {}", path.string(), stream_.schema().field(index)->name()),
              .what = "unsupported type",
              .found = type.ToString(),
              .wanted = wanted.types});
      }
    };
    const int vector = FindVector(vector_column);
    require(vector, {"", nullptr, IsVectorColumn, kVectorTypes});
    fields.push_back(vector);
    for (const Wanted& wanted : kWanted) {
      const int index = find(wanted.name);
      if (index < 0) continue;
      require(index, wanted);
      fields.push_back(index);
    }
    std::sort(fields.begin(), fields.end());
    const auto place = [&](int field) {
      return static_cast<int>(std::lower_bound(fields.begin(), fields.end(), field) - fields.begin());
    };
    layout_.vector = place(vector);
    for (const Wanted& wanted : kWanted) {
      const int index = find(wanted.name);
      if (index >= 0) layout_.*wanted.place = place(index);
    }
    if (const int prompt = find("prompt"); prompt >= 0) {
      layout_.prompt_is_messages = IsMessagesColumn(*stream_.schema().field(prompt)->type());
    }
    stream_.Select(fields);
    FindWidth(*stream_.schema().field(vector)->type());
  }

  int64_t row_count() const override { return stream_.rows(); }
  int64_t d_model() const override { return width_; }
  bool has_text() const override { return layout_.text >= 0; }
  bool has_layer() const override { return layout_.layer >= 0; }

  RowSchema schema() const override {
    if (layout_.prompt >= 0 && !layout_.prompt_is_messages) return RowSchema::kArSft;
    if (layout_.prompt >= 0) return layout_.response >= 0 ? RowSchema::kAvSft : RowSchema::kRl;
    return layout_.explanation >= 0 ? RowSchema::kExplained : RowSchema::kBase;
  }

  std::vector<ActivationRow> Next(int64_t max_rows) override {
    std::vector<ActivationRow> rows;
    while (static_cast<int64_t>(rows.size()) < max_rows) {
      if (batch_ == nullptr || position_ == batch_->num_rows()) {
        if (next_row_ == stream_.rows() || !Load()) break;
      }
      rows.push_back(Row(position_++));
      ++next_row_;
    }
    return rows;
  }

  void Seek(int64_t row) override {
    batch_ = nullptr;
    position_ = 0;
    next_row_ = row;
    stream_.Seek(row);
  }

 private:
  int FindVector(const std::string& asked) const {
    ColumnNames names{.where = stream_.path().string(), .kind = "column", .all = {}, .vectors = {}};
    for (const auto& field : stream_.schema().fields()) {
      names.all.push_back(field->name());
      if (IsVectorColumn(*field->type())) names.vectors.push_back(field->name());
    }
    return static_cast<int>(FindVectorColumn(names, asked));
  }

  void FindWidth(const arrow::DataType& type) {
    if (type.id() == arrow::Type::FIXED_SIZE_LIST) {
      width_ = static_cast<const arrow::FixedSizeListType&>(type).list_size();
    } else if (stream_.rows() > 0) {
      const auto first = stream_.Next();
      width_ = VectorWidthAt(*first->column(layout_.vector), 0);
      stream_.Seek(0);
    }
    if (width_ < 0 || (width_ == 0 && stream_.rows() > 0)) {
      Fail({.where = Where(0), .what = "the vector is null or empty"});
    }
  }

  std::string Where(int64_t row) const { return fmt::format("{}: row {}", stream_.path().string(), row); }

  int64_t Integer(int column, int64_t row) const {
    if (column < 0) return 0;
    const auto& values = *batch_->column(column);
    if (values.IsNull(row))
      Fail({.where = Where(next_row_), .what = fmt::format("{} is null", batch_->column_name(column))});
    return IntegerAt(values, row);
  }

  std::string Text(int column, int64_t row) const {
    return column < 0 ? std::string() : std::string(TextAt(*batch_->column(column), row));
  }

  ActivationRow Row(int64_t row) const {
    ActivationRow result;
    result.n_raw_tokens = Integer(layout_.n_raw_tokens, row);
    result.activation_layer = Integer(layout_.layer, row);
    result.doc_id = Text(layout_.doc_id, row);
    result.activation.resize(static_cast<size_t>(width_));
    ReadVectorAt(*batch_->column(layout_.vector), row, result.activation, Where(next_row_));
    result.text = Text(layout_.text, row);
    result.explanation = Text(layout_.explanation, row);
    result.response = Text(layout_.response, row);
    if (layout_.prompt_is_messages) {
      result.prompt_messages = MessagesAt(*batch_->column(layout_.prompt), row);
    } else {
      result.prompt_text = Text(layout_.prompt, row);
    }
    return result;
  }

  // Loads the next batch; false at the end. Texts are checked in full: a damaged file must not yield broken offsets.
  bool Load() {
    batch_ = stream_.Next();
    position_ = 0;
    if (batch_ == nullptr) return false;
    GuardArrow(stream_.path(), [&] {
      for (int i = 0; i < batch_->num_columns(); ++i) {
        if (i != layout_.vector) CheckArrow(batch_->column(i)->ValidateFull(), stream_.path());
      }
    });
    return true;
  }

  BatchStream stream_;
  Layout layout_;
  int64_t width_ = 0;
  std::shared_ptr<arrow::RecordBatch> batch_;
  int64_t position_ = 0;  // in the batch
  int64_t next_row_ = 0;  // in the file
};

}  // namespace

std::unique_ptr<ActivationSource> OpenParquet(const std::filesystem::path& path, const std::string& column) {
  return std::make_unique<ParquetSource>(path, column);
}

}  // namespace nla
