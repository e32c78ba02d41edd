// One text column of a Parquet file as a stream, without decoding the rest of the file.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace nla {

// Rows in file order, in bounded memory. Not thread-safe.
class TextColumnReader {
 public:
  // The column must be there and hold string or large_string.
  TextColumnReader(const std::filesystem::path& path, const std::string& column);
  TextColumnReader(TextColumnReader&&) noexcept;
  ~TextColumnReader();

  // A null is an error that names the row; nullopt at the end.
  std::optional<std::string> Next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nla
