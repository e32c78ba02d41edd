#include "data/matrix_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/fail.h"
#include "weights/float_bits.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

// The bits of a value at a place that need not be aligned.
template <typename Bits>
Bits LoadBits(const std::byte* from, bool big_endian) {
  Bits bits;
  std::memcpy(&bits, from, sizeof(bits));
  if (!big_endian) return bits;
  if constexpr (sizeof(Bits) == 2) {
    return __builtin_bswap16(bits);
  } else if constexpr (sizeof(Bits) == 4) {
    return __builtin_bswap32(bits);
  } else {
    return __builtin_bswap64(bits);
  }
}

// `count` values that follow each other, as fp32; value i goes to to[i · step].
void Convert(const Matrix& matrix, const std::byte* from, int64_t count, float* to, int64_t step) {
  const auto each = [&]<typename Bits>(Bits, auto convert) {
    for (int64_t i = 0; i < count; ++i) {
      to[i * step] = convert(LoadBits<Bits>(from + static_cast<size_t>(i) * sizeof(Bits), matrix.big_endian));
    }
  };
  switch (matrix.dtype) {
    case DType::kF16:
      return each(uint16_t{}, FloatFromHalf);
    case DType::kBF16:
      return each(uint16_t{}, FloatFromBf16);
    case DType::kF32:
      return each(uint32_t{}, [](uint32_t bits) { return std::bit_cast<float>(bits); });
    case DType::kF64:
      return each(uint64_t{}, [](uint64_t bits) { return static_cast<float>(std::bit_cast<double>(bits)); });
    default:
      NLA_CHECK(false);
  }
}

class MatrixSource final : public ActivationSource {
 public:
  explicit MatrixSource(Matrix matrix) : matrix_(std::move(matrix)) {}

  int64_t row_count() const override { return matrix_.rows; }
  int64_t d_model() const override { return matrix_.width; }

  std::vector<ActivationRow> Next(int64_t max_rows) override {
    const int64_t count = std::min(max_rows, matrix_.rows - next_);
    const std::vector<float> values = Values(count);
    std::vector<ActivationRow> rows(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      const auto begin = values.begin() + i * matrix_.width;
      rows[i].activation.assign(begin, begin + matrix_.width);
      CheckVector(rows[i].activation, fmt::format("{}: row {}", matrix_.data.name, next_ + i));
    }
    next_ += count;
    return rows;
  }

  void Seek(int64_t row) override { next_ = row; }

 private:
  // The next `count` rows, row-major.
  std::vector<float> Values(int64_t count) const {
    std::vector<float> values(static_cast<size_t>(count * matrix_.width));
    if (count == 0) return values;
    const auto size = SizeOf(matrix_.dtype);
    const std::byte* data = matrix_.data.bytes.data();
    if (!matrix_.column_major) {
      Convert(matrix_, data + static_cast<size_t>(next_ * matrix_.width) * size, count * matrix_.width, values.data(),
              1);
      return values;
    }
    for (int64_t column = 0; column < matrix_.width; ++column) {
      Convert(matrix_, data + static_cast<size_t>(column * matrix_.rows + next_) * size, count, values.data() + column,
              matrix_.width);
    }
    return values;
  }

  Matrix matrix_;
  int64_t next_ = 0;
};

}  // namespace

bool IsMatrixType(DType dtype) {
  return dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF32 || dtype == DType::kF64;
}

void SetShape(Matrix& matrix, std::span<const int64_t> shape) {
  const bool usable = shape.size() == 1 || shape.size() == 2;
  if (!usable || shape.back() < 1) {
    Fail({.where = matrix.data.name,
          .what = "not a matrix of activations",
          .found = fmt::format("shape ({})", fmt::join(shape, ", ")),
          .wanted = "(rows, width), or (width) for one row",
          .mend = shape.size() > 2 ? "Reshape it so that every row is one activation" : ""});
  }
  matrix.rows = shape.size() == 1 ? 1 : shape[0];
  matrix.width = shape.back();
}

std::unique_ptr<ActivationSource> OpenMatrix(Matrix matrix) {
  NLA_CHECK(IsMatrixType(matrix.dtype));
  const int64_t shape[] = {matrix.rows, matrix.width};
  const auto size = CheckedProduct(shape, SizeOf(matrix.dtype));
  if (!size || *size != matrix.data.bytes.size()) {
    Fail({.where = matrix.data.name,
          .what = "the size of the data is not what its shape says",
          .found = fmt::format("{} bytes", matrix.data.bytes.size()),
          .wanted = size ? fmt::format("{} for {} rows of {} values", *size, matrix.rows, matrix.width)
                         : fmt::format("{} rows of {} values, more than there can be", matrix.rows, matrix.width),
          .mend = "The file is damaged or was cut short: copy or write it again"});
  }
  return std::make_unique<MatrixSource>(std::move(matrix));
}

std::unique_ptr<ActivationSource> OpenSafetensors(const std::filesystem::path& path, const std::string& column) {
  auto file = std::make_shared<const SafetensorsFile>(SafetensorsFile::Open(path));
  ColumnNames names{.where = path.string(), .kind = "tensor", .all = {}, .vectors = {}};
  for (const TensorView& tensor : file->tensors()) {
    names.all.push_back(tensor.name);
    if (IsMatrixType(tensor.dtype)) names.vectors.push_back(tensor.name);
  }
  const TensorView& tensor = file->tensors()[FindVectorColumn(names, column)];
  const std::string where = fmt::format("{}: tensor {}", path.string(), tensor.name);
  if (!IsMatrixType(tensor.dtype)) {
    Fail({.where = where,
          .what = "unsupported type",
          .found = std::string(Name(tensor.dtype)),
          .wanted = "F16, BF16, F32 or F64"});
  }
  Matrix matrix{.dtype = tensor.dtype, .data = {.bytes = tensor.bytes, .keeper = file, .name = where}};
  SetShape(matrix, tensor.shape);
  return OpenMatrix(std::move(matrix));
}

}  // namespace nla
