// Vectors alone, without a dataset's columns, in the format that the file's name asks for: .npy, .safetensors (tensor
// activation_vector) or .jsonl (key activation_vector). Rows with texts are ActivationWriter's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace nla {

// Writes in constant memory and puts the file in place at Finish(). Not thread-safe.
class VectorWriter {
 public:
  // Whether `path` ends as one of these formats.
  static bool Writes(const std::filesystem::path& path);
  // `rows` must be known beforehand: the headers state it.
  static std::unique_ptr<VectorWriter> Open(const std::filesystem::path& path, int64_t rows, int64_t d_model);
  virtual ~VectorWriter() = default;

  // Whole rows, row-major, fp32.
  virtual void Append(std::span<const float> values) = 0;
  virtual void Finish() = 0;
};

}  // namespace nla
