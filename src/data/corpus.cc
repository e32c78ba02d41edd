// Corpora as one stream of documents, whatever files they lie in.
#include "data/corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "base/file.h"
#include "data/text_column.h"

namespace nla {
namespace {

constexpr const char* kEndings = ".jsonl, .txt or .parquet";

bool IsCorpusFile(const fs::path& path) {
  return path.extension() == ".jsonl" || path.extension() == ".txt" || path.extension() == ".parquet";
}

// The texts of one file in order.
class TextSource {
 public:
  virtual ~TextSource() = default;
  virtual std::optional<std::string> Next() = 0;
};

class JsonLines : public TextSource {
 public:
  JsonLines(fs::path path, std::string field) : path_(std::move(path)), field_(std::move(field)), in_(path_) {
    if (!in_) Fail({.where = path_.string(), .what = "cannot read"});
  }

  std::optional<std::string> Next() override {
    std::string line;
    while (std::getline(in_, line)) {
      ++number_;
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      return Parse(line);
    }
    if (in_.bad()) Fail({.where = path_.string(), .what = fmt::format("reading stopped after line {}", number_)});
    return std::nullopt;
  }

 private:
  std::string Parse(const std::string& line) const {
    const std::string where = fmt::format("{}: line {}", path_.string(), number_);
    nlohmann::json value;
    try {
      value = nlohmann::json::parse(line);
    } catch (const nlohmann::json::exception& e) {
      Fail({.where = where, .what = fmt::format("not JSON: {}", e.what())});
    }
    const std::string wanted = fmt::format("an object with the text field \"{}\"", field_);
    if (!value.is_object())
      Fail({.where = where, .what = "not a document", .found = value.type_name(), .wanted = wanted});
    const auto found = value.find(field_);
    if (found == value.end()) Fail({.where = where, .what = "the text is missing", .wanted = wanted});
    if (!found->is_string()) {
      Fail({.where = where, .what = "the text is no text", .found = found->type_name(), .wanted = wanted});
    }
    return std::move(found->get_ref<std::string&>());
  }

  fs::path path_;
  std::string field_;
  std::ifstream in_;
  int64_t number_ = 0;
};

class WholeFile : public TextSource {
 public:
  explicit WholeFile(fs::path path) : path_(std::move(path)) {}

  std::optional<std::string> Next() override {
    if (read_) return std::nullopt;
    read_ = true;
    return ReadFile(path_);
  }

 private:
  fs::path path_;
  bool read_ = false;
};

class ParquetTexts : public TextSource {
 public:
  ParquetTexts(const fs::path& path, const std::string& column) : column_(path, column) {}

  std::optional<std::string> Next() override { return column_.Next(); }

 private:
  TextColumnReader column_;
};

void AddFolder(const fs::path& folder, std::vector<fs::path>& files) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file() && IsCorpusFile(it->path())) found.push_back(it->path());
  }
  if (error) Fail({.where = folder.string(), .what = "cannot read the folder: " + error.message()});
  if (found.empty()) {
    Fail({.where = folder.string(),
          .what = "no corpus files in the folder",
          .wanted = fmt::format("files ending in {}", kEndings)});
  }
  std::sort(found.begin(), found.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  files.insert(files.end(), found.begin(), found.end());
}

}  // namespace

struct CorpusReader::Impl {
  std::vector<fs::path> files;
  std::string field;
  size_t next_file = 0;
  std::unique_ptr<TextSource> source;
  int64_t next_index = 0;

  bool OpenNext() {
    if (next_file == files.size()) return false;
    const fs::path& path = files[next_file++];
    if (path.extension() == ".jsonl") {
      source = std::make_unique<JsonLines>(path, field);
    } else if (path.extension() == ".txt") {
      source = std::make_unique<WholeFile>(path);
    } else {
      source = std::make_unique<ParquetTexts>(path, field);
    }
    return true;
  }
};

CorpusReader::CorpusReader(const std::vector<fs::path>& paths, std::string text_field)
    : impl_(std::make_unique<Impl>()) {
  impl_->field = std::move(text_field);
  for (const fs::path& path : paths) {
    if (fs::is_directory(path)) {
      AddFolder(path, impl_->files);
    } else if (!fs::exists(path)) {
      Fail({.where = path.string(), .what = "the corpus does not exist"});
    } else if (!IsCorpusFile(path)) {
      FailUsage({.where = path.string(),
                 .what = "unknown kind of corpus file",
                 .wanted = fmt::format("a name ending in {}", kEndings)});
    } else {
      impl_->files.push_back(path);
    }
  }
}
CorpusReader::CorpusReader(CorpusReader&&) noexcept = default;
CorpusReader::~CorpusReader() = default;

std::optional<Document> CorpusReader::Next() {
  while (impl_->source != nullptr || impl_->OpenNext()) {
    if (auto text = impl_->source->Next()) return Document{.index = impl_->next_index++, .text = std::move(*text)};
    impl_->source.reset();
  }
  return std::nullopt;
}

}  // namespace nla
