// Activation rows of JSON lines: every line an array of numbers, or an object with the vector under a key and, where
// they are there, the texts and numbers of a dataset's columns under theirs. Blank lines are passed over.
//
// nlohmann's parser reads some thousand rows a second, far more than a model does. A faster one (simdjson) is no
// choice: libparquet exports the symbols of another version of it.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/fail.h"
#include "data/activation_source.h"

namespace nla {
namespace {

constexpr int64_t kRowsPerMark = 1024;
constexpr size_t kLongestLine = size_t{1} << 30;

// The lines of a file that are not blank, one after the other.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}

  // nullopt at the end.
  std::optional<std::string_view> Next() {
    while (place_ < text_.size()) {
      const size_t end = std::min(text_.find('\n', place_), text_.size());
      const std::string_view line = text_.substr(place_, end - place_);
      place_ = end + 1;
      if (line.find_first_not_of(" \t\r") != std::string_view::npos) return line;
    }
    return std::nullopt;
  }
  size_t place() const { return place_; }
  void Seek(size_t place) { place_ = place; }

 private:
  std::string_view text_;
  size_t place_ = 0;
};

struct TextKey {
  const char* name;
  std::string ActivationRow::*member;
};
constexpr TextKey kTexts[] = {{"doc_id", &ActivationRow::doc_id},
                              {"detokenized_text_truncated", &ActivationRow::text},
                              {"api_explanation", &ActivationRow::explanation}};
struct IntegerKey {
  const char* name;
  int64_t ActivationRow::*member;
};
constexpr IntegerKey kIntegers[] = {{"n_raw_tokens", &ActivationRow::n_raw_tokens},
                                    {"activation_layer", &ActivationRow::activation_layer}};

class JsonlSource final : public ActivationSource {
 public:
  JsonlSource(InputBytes file, const std::string& column)
      : file_(std::move(file)), lines_({reinterpret_cast<const char*>(file_.bytes.data()), file_.bytes.size()}) {
    while (true) {
      if (rows_ % kRowsPerMark == 0) marks_.push_back(lines_.place());
      if (!lines_.Next()) break;
      ++rows_;
    }
    lines_.Seek(0);
    if (rows_ > 0) LookAtFirst(column);
    Seek(0);
  }

  int64_t row_count() const override { return rows_; }
  int64_t d_model() const override { return width_; }
  bool has_text() const override { return has_text_; }
  bool has_layer() const override { return has_layer_; }
  RowSchema schema() const override { return has_explanation_ ? RowSchema::kExplained : RowSchema::kBase; }

  std::vector<ActivationRow> Next(int64_t max_rows) override {
    std::vector<ActivationRow> rows;
    while (static_cast<int64_t>(rows.size()) < max_rows && next_ < rows_) {
      rows.push_back(Row(Parse()));
      ++next_;
    }
    return rows;
  }

  void Seek(int64_t row) override {
    next_ = row / kRowsPerMark * kRowsPerMark;
    lines_.Seek(marks_[static_cast<size_t>(row / kRowsPerMark)]);
    for (; next_ < row; ++next_) lines_.Next();
  }

 private:
  using Json = nlohmann::json;

  std::string Where() const { return fmt::format("{}: row {}", file_.name, next_); }

  // The next line.
  Json Parse() {
    const auto line = lines_.Next();
    NLA_CHECK(line);
    if (line->size() > kLongestLine) Fail({.where = Where(), .what = "the line is longer than 1 GiB"});
    Json value = Json::parse(line->begin(), line->end(), nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) {
      Fail({.where = Where(),
            .what = "not JSON",
            .found = std::string(line->substr(0, 60)),
            .mend = "Write one array of finite numbers, or one object, a line"});
    }
    return value;
  }

  // What the first row has decides what all must have.
  void LookAtFirst(const std::string& column) {
    const Json first = Parse();
    is_object_ = first.is_object();
    if (is_object_) {
      ColumnNames names{.where = Where(), .kind = "key", .all = {}, .vectors = {}};
      for (const auto& [key, value] : first.items()) {
        names.all.push_back(key);
        if (value.is_array()) names.vectors.push_back(key);
      }
      key_ = names.all[FindVectorColumn(names, column)];
      has_text_ = first.contains("detokenized_text_truncated");
      has_explanation_ = first.contains("api_explanation");
      has_layer_ = first.contains("activation_layer");
    } else if (!column.empty()) {
      FailUsage({.where = "--column",
                 .what = fmt::format("the rows of {} are arrays without names", file_.name),
                 .found = column,
                 .mend = "Leave --column out"});
    }
    width_ = static_cast<int64_t>(Vector(first).size());
    if (width_ == 0) Fail({.where = Where(), .what = "the vector is null or empty"});
  }

  // The values of the row's array, unchecked but for being numbers.
  std::vector<float> Vector(const Json& row) const {
    if (row.is_object() != is_object_) {
      Fail(
          {.where = Where(), .what = fmt::format("not {} as the first row is", is_object_ ? "an object" : "an array")});
    }
    if (is_object_ && !row.contains(key_)) Fail({.where = Where(), .what = fmt::format("no key {}", key_)});
    const Json& array = is_object_ ? row[key_] : row;
    if (!array.is_array()) {
      Fail({.where = Where(), .what = "the vector is not an array of numbers", .found = Start(array)});
    }
    std::vector<float> vector;
    vector.reserve(array.size());
    for (const Json& value : array) {
      if (!value.is_number()) {
        Fail({.where = Where(),
              .what = fmt::format("value {} of the vector is not a number", vector.size()),
              .found = Start(value),
              .mend = value.is_array() ? "Write one row a line" : ""});
      }
      vector.push_back(static_cast<float>(value.get<double>()));
    }
    return vector;
  }

  static std::string Start(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60);
  }

  ActivationRow Row(const Json& value) const {
    ActivationRow row;
    row.activation = Vector(value);
    if (static_cast<int64_t>(row.activation.size()) != width_) {
      Fail({.where = Where(),
            .what = "vector width differs from the file's",
            .found = std::to_string(row.activation.size()),
            .wanted = std::to_string(width_)});
    }
    CheckVector(row.activation, Where());
    if (!is_object_) return row;
    for (const TextKey& key : kTexts) {
      if (const Json* text = Find(value, key.name)) {
        if (!text->is_string()) BadType(key.name, *text, "a text");
        row.*key.member = text->get<std::string>();
      }
    }
    for (const IntegerKey& key : kIntegers) {
      if (const Json* number = Find(value, key.name)) {
        if (!number->is_number_integer()) BadType(key.name, *number, "an integer");
        row.*key.member = number->get<int64_t>();
      }
    }
    return row;
  }

  // nullptr where the key is missing or null.
  static const Json* Find(const Json& row, const char* key) {
    const auto found = row.find(key);
    return found == row.end() || found->is_null() ? nullptr : &*found;
  }

  [[noreturn]] void BadType(const char* key, const Json& found, const char* wanted) const {
    Fail(
        {.where = Where(), .what = fmt::format("{} is of another type", key), .found = Start(found), .wanted = wanted});
  }

  InputBytes file_;
  Lines lines_;
  std::vector<size_t> marks_;  // where row 0, kRowsPerMark, 2·kRowsPerMark … begin
  int64_t rows_ = 0;
  int64_t width_ = 0;
  int64_t next_ = 0;
  bool is_object_ = false, has_text_ = false, has_explanation_ = false, has_layer_ = false;
  std::string key_;
};

}  // namespace

std::unique_ptr<ActivationSource> OpenJsonl(InputBytes file, const std::string& column) {
  return std::make_unique<JsonlSource>(std::move(file), column);
}

}  // namespace nla
