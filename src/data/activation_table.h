// Parquet files of activation rows: streaming reader and writer in constant memory. Arrow stays behind this header.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/activation_row.h"

namespace nla {

// Reads rows in file order. Accepts fixed-size, plain and large lists of float16/32/64 as vectors. Not thread-safe.
class ActivationReader {
 public:
  // Refuses a file without the activation column, with vectors of differing width, or (at the row) a non-finite value
  // or a vector of zeros.
  static ActivationReader Open(const std::filesystem::path& path,
                               const std::string& vector_column = "activation_vector");
  ActivationReader(ActivationReader&&) noexcept;
  ActivationReader& operator=(ActivationReader&&) noexcept;
  ~ActivationReader();

  int64_t row_count() const;
  int64_t d_model() const;
  RowSchema schema() const;
  bool has_text() const;  // detokenized_text_truncated is there
  // Up to `max_rows` further rows; empty at the end. Errors name the file and the 0-based row.
  std::vector<ActivationRow> Next(int64_t max_rows);
  // Continues at this row (resume, wrap-around).
  void Seek(int64_t row);

 private:
  struct Impl;
  explicit ActivationReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Writes rows and replaces `path` atomically at Finish(). Destroyed without Finish, nothing is left.
class ActivationWriter {
 public:
  ActivationWriter(std::filesystem::path path, RowSchema schema, int64_t d_model, bool keep_text = true);
  ActivationWriter(ActivationWriter&&) noexcept;
  ~ActivationWriter();

  void Append(std::span<const ActivationRow> rows);
  int64_t row_count() const;
  void Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nla
