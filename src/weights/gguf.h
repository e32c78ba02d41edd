// GGUF files: metadata and tensors, every length checked against the file. Block formats are dequantised by Dequantize.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace nla {

// ggml's tensor types that are read here; the number is the one in the file.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
};

// How a type stores its values: blocks of `values` values in `bytes` bytes.
struct GgmlTypeFacts {
  GgmlType type;
  const char* name;
  int64_t values;
  int64_t bytes;
};
// nullptr for a type that is not read here.
const GgmlTypeFacts* FindGgmlType(uint32_t type);
// For errors: "Q4_K" also where the type is not read here, "number 99" where ggml has none; and those that are read.
std::string GgmlTypeName(uint32_t type);
std::string ReadableGgmlTypes();

struct GgufTensor {
  std::string name;
  GgmlType type;
  std::vector<int64_t> shape;        // row-major (GGUF stores it reversed)
  std::span<const std::byte> bytes;  // into the file's map
};

class GgufFile {
 public:
  static GgufFile Open(const std::filesystem::path& path);

  // Metadata as one flat JSON object, keys as in the file ("llama.block_count"); arrays become JSON arrays. A float32
  // is the double nearest to its shortest decimal form (1e-05, not 9.999999747378752e-06).
  const nlohmann::json& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* Find(std::string_view name) const;
  const std::filesystem::path& path() const { return map_.path(); }

 private:
  explicit GgufFile(MappedFile map) : map_(std::move(map)) {}
  MappedFile map_;
  nlohmann::json metadata_;
  std::vector<GgufTensor> tensors_;  // in file order
};

// Rows are along the last axis, the one that block formats cut into blocks; a vector is one row.
int64_t RowCount(const GgufTensor& tensor);
int64_t RowWidth(const GgufTensor& tensor);

// fp32 values of one row, bit-exact with the gguf package's dequantisation. `out` has RowWidth() places.
void DequantizeRow(const GgufTensor& tensor, int64_t row, std::span<float> out);
// The whole tensor, row-major.
std::vector<float> Dequantize(const GgufTensor& tensor);

}  // namespace nla
