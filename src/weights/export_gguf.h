// A Hugging Face checkpoint directory as one GGUF file, which llama.cpp loads: the way back of convert.h.
#pragma once

#include <filesystem>
#include <string>

#include "weights/gguf.h"

namespace nla {

struct GgufExportOptions {
  GgmlType type = GgmlType::kBF16;  // of the matrices: F32, F16, BF16 or Q8_0; vectors are always F32
  bool replace = false;             // replace an existing file
};

struct GgufExportFacts {
  std::string architecture;
  int64_t tensors = 0;
  int64_t parameters = 0;
  uint64_t bytes = 0;  // of the file
};

// A matrix whose rows are no whole number of Q8_0's blocks is stored in F16. Works row by row: memory does not grow
// with the model. The file appears whole or not at all, and is the same byte for byte on every run.
GgufExportFacts ExportGguf(const std::filesystem::path& directory, const std::filesystem::path& out,
                           const GgufExportOptions& options);

}  // namespace nla
