// fp32 values into the types that weight files store, and back: the row-by-row work of conversion in both directions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "weights/gguf.h"
#include "weights/tensor_view.h"

namespace nla {

constexpr size_t kWriteBytes = size_t{1} << 20;  // gathered before a writer is called

// Appends the values in F32, F16 or BF16, rounded to nearest even. Every value must be finite, before and after
// rounding; `where` names the tensor in the error.
void AppendStored(std::span<const float> values, DType dtype, const std::string& where, std::vector<std::byte>& out);

// The same for GGUF's F32, F16, BF16 and Q8_0 (whole blocks of 32), bit-exact with the gguf package's quantisation.
void AppendGguf(std::span<const float> values, GgmlType type, const std::string& where, std::vector<std::byte>& out);

// Row `row` of a tensor in F32, F16 or BF16 as fp32. A row is along the last axis; a vector is one row.
void LoadRow(const TensorView& tensor, int64_t row, std::span<float> out);

}  // namespace nla
