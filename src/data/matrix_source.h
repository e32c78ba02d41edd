// Activation rows of a plain matrix of numbers somewhere in memory: what .npy, .npz and .safetensors come down to.
// Internal to this folder.
#pragma once

#include <memory>
#include <optional>

#include "data/activation_source.h"
#include "weights/tensor_view.h"

namespace nla {

struct Matrix {
  DType dtype = DType::kF32;  // kF16, kBF16, kF32 or kF64
  bool big_endian = false;
  bool column_major = false;
  int64_t rows = 0;
  int64_t width = 0;
  InputBytes data;  // exactly rows · width values
};

// Whether values of this type can be activations.
bool IsMatrixType(DType dtype);

// [d] is one row, [n, d] are n; another shape is an error.
void SetShape(Matrix& matrix, std::span<const int64_t> shape);

std::unique_ptr<ActivationSource> OpenMatrix(Matrix matrix);

}  // namespace nla
