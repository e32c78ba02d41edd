// Writes GGUF files (version 3) piece by piece in constant memory: metadata and tensor table first, then the values of
// the tensors in the given order. Atomic as AtomicFile is. Reading is gguf.h's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/file.h"
#include "weights/gguf.h"

namespace nla {

using GgufValue = std::variant<uint32_t, float, bool, std::string, std::vector<std::string>, std::vector<float>,
                               std::vector<int32_t>>;
struct GgufPair {
  std::string key;
  GgufValue value;
};

struct GgufTensorSpec {
  std::string name;
  GgmlType type;
  std::vector<int64_t> shape;  // row-major
};

class GgufWriter {
 public:
  GgufWriter(const std::filesystem::path& path, std::span<const GgufPair> metadata,
             std::span<const GgufTensorSpec> tensors);

  // The next bytes of the tensor at hand; a call may carry part of it, but not of two.
  void Append(std::span<const std::byte> bytes);
  // Ends the tensor at hand, which must be complete.
  void EndTensor();
  void Commit();

 private:
  void Pad();

  AtomicFile file_;
  uint64_t data_begin_ = 0;
  std::vector<uint64_t> ends_;  // of the tensors, in the data section
  size_t ended_ = 0;
};

}  // namespace nla
