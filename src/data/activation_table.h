// Activation rows: a streaming reader of every format that activations come in, and a writer of Parquet, both in
// constant memory. Arrow, JSON and zip stay behind this header (docs/formats/activations.md).
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/activation_row.h"

namespace nla {

class ActivationSource;

// Reads rows in file order, from Parquet, .npy, .npz, .safetensors or .jsonl, told apart by their bytes. Not
// thread-safe.
class ActivationReader {
 public:
  // `path` "-" is standard input, which is copied to disk first. `column` names the vectors' column, member, tensor or
  // key; empty: activation_vector, else the only one that can hold vectors. Refuses vectors of differing width, and (at
  // the row) a null, a non-finite value or a vector of zeros.
  static ActivationReader Open(const std::filesystem::path& path, const std::string& column = "");
  ActivationReader(ActivationReader&&) noexcept;
  ActivationReader& operator=(ActivationReader&&) noexcept;
  ~ActivationReader();

  int64_t row_count() const;
  int64_t d_model() const;
  RowSchema schema() const;
  bool has_text() const;                             // detokenized_text_truncated is there
  bool has_layer() const;                            // activation_layer is there
  const std::string& name() const { return name_; }  // the file's, for errors
  // Up to `max_rows` further rows; empty at the end. Errors name the file and the 0-based row.
  std::vector<ActivationRow> Next(int64_t max_rows);
  // Continues at this row (resume, wrap-around).
  void Seek(int64_t row);

 private:
  ActivationReader(std::string name, std::unique_ptr<ActivationSource> source);
  std::string name_;
  std::unique_ptr<ActivationSource> source_;
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
