// Corpora: documents from .jsonl (field `text`), .txt, .parquet (column `text`), or a folder of them, one at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nla {

struct Document {
  int64_t index = 0;  // number in the whole corpus, 0-based, over all files in the order given (folders sorted by name)
  std::string text;
};

// A .txt file is one document. Memory is constant in the number of documents. Not thread-safe.
class CorpusReader {
 public:
  explicit CorpusReader(const std::vector<std::filesystem::path>& paths, std::string text_field = "text");
  CorpusReader(CorpusReader&&) noexcept;
  ~CorpusReader();

  std::optional<Document> Next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nla
