// GGUF files: metadata and tensors, every length checked against the file. Block formats are dequantised by Dequantize.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"

namespace nla {

// ggml's tensor types that are read here; the number is the one in the file.
enum class GgmlType : uint32_t { kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ8_0 = 8, kBF16 = 30 };

struct GgufTensor {
  std::string name;
  GgmlType type;
  std::vector<int64_t> shape;        // row-major (GGUF stores it reversed)
  std::span<const std::byte> bytes;  // into the file's map
};

class GgufFile {
 public:
  static GgufFile Open(const std::filesystem::path& path);

  // Metadata as one flat JSON object, keys as in the file ("llama.block_count"); arrays become JSON arrays.
  const nlohmann::json& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* Find(std::string_view name) const;

 private:
  explicit GgufFile(MappedFile map) : map_(std::move(map)) {}
  MappedFile map_;
  nlohmann::json metadata_;
  std::vector<GgufTensor> tensors_;
};

// Row-major fp32 values, bit-exact with the gguf package's dequantisation.
std::vector<float> Dequantize(const GgufTensor& tensor);

}  // namespace nla
