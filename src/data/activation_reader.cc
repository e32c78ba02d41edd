// Reads activation tables of any stage, ours or another tool's, as rows.
#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "data/activation_table.h"
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

}  // namespace

struct ActivationReader::Impl {
  Impl(const std::filesystem::path& path, const std::string& vector_column) : stream(path) {
    std::vector<int> fields;
    const auto find = [&](const std::string& name) { return stream.schema().GetFieldIndex(name); };
    const auto require = [&](int index, const Wanted& wanted) {
      const auto& type = *stream.schema().field(index)->type();
      if (!wanted.accepts(type)) {
        Fail({.where = fmt::format("{}: column {}", path.string(), stream.schema().field(index)->name()),
              .what = "unsupported type",
              .found = type.ToString(),
              .wanted = wanted.types});
      }
    };
    const int vector = find(vector_column);
    if (vector < 0) {
      Fail({.where = path.string(),
            .what = fmt::format("no column {} (or more than one)", vector_column),
            .found = fmt::format("{}", fmt::join(stream.schema().field_names(), ", ")),
            .mend = "Name the column that holds the vectors"});
    }
    require(vector,
            {"", nullptr, IsVectorColumn, "fixed_size_list, list or large_list of float16, float32 or float64"});
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
    layout.vector = place(vector);
    for (const Wanted& wanted : kWanted) {
      const int index = find(wanted.name);
      if (index >= 0) layout.*wanted.place = place(index);
    }
    if (const int prompt = find("prompt"); prompt >= 0) {
      layout.prompt_is_messages = IsMessagesColumn(*stream.schema().field(prompt)->type());
    }
    stream.Select(fields);
    FindWidth(*stream.schema().field(vector)->type());
  }

  void FindWidth(const arrow::DataType& type) {
    if (type.id() == arrow::Type::FIXED_SIZE_LIST) {
      d_model = static_cast<const arrow::FixedSizeListType&>(type).list_size();
    } else if (stream.rows() > 0) {
      const auto first = stream.Next();
      d_model = VectorWidthAt(*first->column(layout.vector), 0);
      stream.Seek(0);
    }
    if (d_model < 0 || (d_model == 0 && stream.rows() > 0)) {
      Fail({.where = Where(0), .what = "the vector is null or empty"});
    }
  }

  std::string Where(int64_t row) const { return fmt::format("{}: row {}", stream.path().string(), row); }

  int64_t Integer(int column, int64_t row) const {
    if (column < 0) return 0;
    const auto& values = *batch->column(column);
    if (values.IsNull(row))
      Fail({.where = Where(next_row), .what = fmt::format("{} is null", batch->column_name(column))});
    return IntegerAt(values, row);
  }

  std::string Text(int column, int64_t row) const {
    return column < 0 ? std::string() : std::string(TextAt(*batch->column(column), row));
  }

  ActivationRow Row(int64_t row) const {
    ActivationRow result;
    result.n_raw_tokens = Integer(layout.n_raw_tokens, row);
    result.activation_layer = Integer(layout.layer, row);
    result.doc_id = Text(layout.doc_id, row);
    result.activation.resize(static_cast<size_t>(d_model));
    ReadVectorAt(*batch->column(layout.vector), row, result.activation, Where(next_row));
    result.text = Text(layout.text, row);
    result.explanation = Text(layout.explanation, row);
    result.response = Text(layout.response, row);
    if (layout.prompt_is_messages) {
      result.prompt_messages = MessagesAt(*batch->column(layout.prompt), row);
    } else {
      result.prompt_text = Text(layout.prompt, row);
    }
    return result;
  }

  // Loads the next batch; false at the end. Texts are checked in full: a damaged file must not yield broken offsets.
  bool Load() {
    batch = stream.Next();
    position = 0;
    if (batch == nullptr) return false;
    GuardArrow(stream.path(), [&] {
      for (int i = 0; i < batch->num_columns(); ++i) {
        if (i != layout.vector) CheckArrow(batch->column(i)->ValidateFull(), stream.path());
      }
    });
    return true;
  }

  BatchStream stream;
  Layout layout;
  int64_t d_model = 0;
  std::shared_ptr<arrow::RecordBatch> batch;
  int64_t position = 0;  // in batch
  int64_t next_row = 0;  // in the file
};

ActivationReader::ActivationReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ActivationReader::ActivationReader(ActivationReader&&) noexcept = default;
ActivationReader& ActivationReader::operator=(ActivationReader&&) noexcept = default;
ActivationReader::~ActivationReader() = default;

ActivationReader ActivationReader::Open(const std::filesystem::path& path, const std::string& vector_column) {
  return ActivationReader(std::make_unique<Impl>(path, vector_column));
}

int64_t ActivationReader::row_count() const { return impl_->stream.rows(); }
int64_t ActivationReader::d_model() const { return impl_->d_model; }
bool ActivationReader::has_text() const { return impl_->layout.text >= 0; }

RowSchema ActivationReader::schema() const {
  const Layout& layout = impl_->layout;
  if (layout.prompt >= 0 && !layout.prompt_is_messages) return RowSchema::kArSft;
  if (layout.prompt >= 0) return layout.response >= 0 ? RowSchema::kAvSft : RowSchema::kRl;
  return layout.explanation >= 0 ? RowSchema::kExplained : RowSchema::kBase;
}

std::vector<ActivationRow> ActivationReader::Next(int64_t max_rows) {
  std::vector<ActivationRow> rows;
  while (static_cast<int64_t>(rows.size()) < max_rows) {
    if (impl_->batch == nullptr || impl_->position == impl_->batch->num_rows()) {
      if (impl_->next_row == impl_->stream.rows() || !impl_->Load()) break;
    }
    rows.push_back(impl_->Row(impl_->position++));
    ++impl_->next_row;
  }
  return rows;
}

void ActivationReader::Seek(int64_t row) {
  if (row < 0 || row > row_count()) {
    Fail({.where = impl_->stream.path().string(),
          .what = "no such row to continue at",
          .found = std::to_string(row),
          .wanted = fmt::format("0 to {}", row_count())});
  }
  impl_->batch = nullptr;
  impl_->position = 0;
  impl_->next_row = row;
  impl_->stream.Seek(row);
}

}  // namespace nla
