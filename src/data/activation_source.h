// What ActivationReader asks of a file format: rows in file order, from any row on. One class a family of formats;
// all check what they hand out. Internal to this folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/activation_row.h"
#include "data/input_bytes.h"

namespace nla {

class ActivationSource {
 public:
  virtual ~ActivationSource() = default;

  virtual int64_t row_count() const = 0;
  virtual int64_t d_model() const = 0;
  virtual RowSchema schema() const { return RowSchema::kBase; }
  virtual bool has_text() const { return false; }
  virtual bool has_layer() const { return false; }  // rows carry activation_layer
  // Up to `max_rows` further rows; empty at the end.
  virtual std::vector<ActivationRow> Next(int64_t max_rows) = 0;
  virtual void Seek(int64_t row) = 0;  // 0 ≤ row ≤ row_count()
};

// `column` names the vectors' column, member, tensor or key; empty: FindVectorColumn's choice.
std::unique_ptr<ActivationSource> OpenParquet(const std::filesystem::path& path, const std::string& column);
std::unique_ptr<ActivationSource> OpenSafetensors(const std::filesystem::path& path, const std::string& column);
std::unique_ptr<ActivationSource> OpenNpy(InputBytes file, const std::string& column);
std::unique_ptr<ActivationSource> OpenNpz(const InputBytes& file, const std::string& column);
std::unique_ptr<ActivationSource> OpenJsonl(InputBytes file, const std::string& column);

// A file's columns by name, and which of them can hold vectors.
struct ColumnNames {
  std::string where;  // the file, for errors
  std::string kind;   // what this format calls them: "column", "member" …
  std::vector<std::string> all;
  std::vector<std::string> vectors;
};
// The place in `all` of the one asked for; where none is asked for, activation_vector, else the only one that can hold
// vectors.
size_t FindVectorColumn(const ColumnNames& names, const std::string& asked);

// Refuses a value that is not finite, and zeros alone. `where` names the row.
void CheckVector(std::span<const float> vector, const std::string& where);

}  // namespace nla
