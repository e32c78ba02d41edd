// Opens the source that a file's format needs.
#include <fmt/format.h>

#include "base/fail.h"
#include "data/activation_format.h"
#include "data/activation_source.h"
#include "data/activation_table.h"

namespace nla {
namespace {

constexpr const char* kFormats = "Parquet, .npy, .npz, .safetensors or .jsonl";

std::unique_ptr<ActivationSource> OpenStandardInput(const std::string& column) {
  InputBytes input = SpoolStandardInput();
  const auto format = FormatByMagic(input.bytes.first(std::min<size_t>(input.bytes.size(), 4096)), input.bytes.size());
  if (format == ActivationFormat::kNpy) return OpenNpy(std::move(input), column);
  if (format == ActivationFormat::kNpz) return OpenNpz(input, column);
  if (format == ActivationFormat::kJsonl) return OpenJsonl(std::move(input), column);
  Fail({.where = input.name,
        .what = "not activations that a pipe can carry",
        .found = format ? NameOf(*format) : "another format",
        .wanted = ".jsonl, .npy or .npz",
        .mend = format ? "Name the file instead" : ""});
}

std::unique_ptr<ActivationSource> OpenSource(const std::filesystem::path& path, const std::string& column) {
  if (path == "-") return OpenStandardInput(column);
  // A missing file is Arrow's to complain of, as any unreadable one.
  const auto format = FormatOf(path);
  if (!format && std::filesystem::is_regular_file(path)) {
    Fail({.where = path.string(), .what = "not a file of activations", .wanted = kFormats});
  }
  switch (format.value_or(ActivationFormat::kParquet)) {
    case ActivationFormat::kParquet:
      return OpenParquet(path, column);
    case ActivationFormat::kNpy:
      return OpenNpy(MapFile(path), column);
    case ActivationFormat::kNpz:
      return OpenNpz(MapFile(path), column);
    case ActivationFormat::kSafetensors:
      return OpenSafetensors(path, column);
    case ActivationFormat::kJsonl:
      return OpenJsonl(MapFile(path), column);
  }
  NLA_CHECK(false);
}

}  // namespace

ActivationReader::ActivationReader(std::string name, std::unique_ptr<ActivationSource> source)
    : name_(std::move(name)), source_(std::move(source)) {}
ActivationReader::ActivationReader(ActivationReader&&) noexcept = default;
ActivationReader& ActivationReader::operator=(ActivationReader&&) noexcept = default;
ActivationReader::~ActivationReader() = default;

ActivationReader ActivationReader::Open(const std::filesystem::path& path, const std::string& column) {
  return {path == "-" ? "standard input" : path.string(), OpenSource(path, column)};
}

int64_t ActivationReader::row_count() const { return source_->row_count(); }
int64_t ActivationReader::d_model() const { return source_->d_model(); }
bool ActivationReader::has_text() const { return source_->has_text(); }
bool ActivationReader::has_layer() const { return source_->has_layer(); }
RowSchema ActivationReader::schema() const { return source_->schema(); }
std::vector<ActivationRow> ActivationReader::Next(int64_t max_rows) { return source_->Next(max_rows); }

void ActivationReader::Seek(int64_t row) {
  if (row < 0 || row > row_count()) {
    Fail({.where = name_,
          .what = "no such row to continue at",
          .found = std::to_string(row),
          .wanted = fmt::format("0 to {}", row_count())});
  }
  source_->Seek(row);
}

}  // namespace nla
