// Values of GGUF tensors: finds the format of a type and reads rows with it. The formats are in small_blocks.cc and
// super_blocks.cc; the file's layout is gguf.cc's.
#include <algorithm>
#include <array>

#include "base/fail.h"
#include "weights/block_formats.h"
#include "weights/gguf.h"

namespace nla {
namespace {

const BlockFormat* FindFormat(uint32_t type) {
  for (const std::span<const BlockFormat> formats : {SmallBlockFormats(), SuperBlockFormats()}) {
    const auto it = std::ranges::find_if(
        formats, [&](const BlockFormat& format) { return static_cast<uint32_t>(format.facts.type) == type; });
    if (it != formats.end()) return &*it;
  }
  return nullptr;
}

// Types that exist and are not read: intermediate results, integers, and formats of one to three bits.
struct OtherType {
  uint32_t number;
  const char* name;
};
constexpr std::array<OtherType, 18> kOtherTypes = {{
    {9, "Q8_1"},
    {15, "Q8_K"},
    {16, "IQ2_XXS"},
    {17, "IQ2_XS"},
    {18, "IQ3_XXS"},
    {19, "IQ1_S"},
    {21, "IQ3_S"},
    {22, "IQ2_S"},
    {24, "I8"},
    {25, "I16"},
    {26, "I32"},
    {27, "I64"},
    {28, "F64"},
    {29, "IQ1_M"},
    {34, "TQ1_0"},
    {35, "TQ2_0"},
    {39, "MXFP4"},
    {40, "NVFP4"},
}};

}  // namespace

const GgmlTypeFacts* FindGgmlType(uint32_t type) {
  const BlockFormat* format = FindFormat(type);
  return format == nullptr ? nullptr : &format->facts;
}

std::string GgmlTypeName(uint32_t type) {
  if (const GgmlTypeFacts* facts = FindGgmlType(type)) return facts->name;
  const auto it = std::ranges::find(kOtherTypes, type, &OtherType::number);
  return it == kOtherTypes.end() ? "number " + std::to_string(type) : it->name;
}

std::string ReadableGgmlTypes() {
  std::string names;
  for (const std::span<const BlockFormat> formats : {SmallBlockFormats(), SuperBlockFormats()}) {
    for (const BlockFormat& format : formats) names += (names.empty() ? "" : ", ") + std::string(format.facts.name);
  }
  return names;
}

int64_t RowWidth(const GgufTensor& tensor) { return tensor.shape.back(); }

int64_t RowCount(const GgufTensor& tensor) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) rows *= tensor.shape[i];
  return rows;
}

void DequantizeRow(const GgufTensor& tensor, int64_t row, std::span<float> out) {
  const BlockFormat* format = FindFormat(static_cast<uint32_t>(tensor.type));
  NLA_CHECK(format != nullptr && row >= 0 && row < RowCount(tensor));
  NLA_CHECK(static_cast<int64_t>(out.size()) == RowWidth(tensor));
  const int64_t blocks = RowWidth(tensor) / format->facts.values;
  format->read(tensor.bytes.data() + row * blocks * format->facts.bytes, blocks, out.data());
}

std::vector<float> Dequantize(const GgufTensor& tensor) {
  const int64_t width = RowWidth(tensor);
  const int64_t rows = RowCount(tensor);
  std::vector<float> values(static_cast<size_t>(rows * width));
  for (int64_t row = 0; row < rows; ++row) {
    DequantizeRow(tensor, row, std::span(values).subspan(static_cast<size_t>(row * width), static_cast<size_t>(width)));
  }
  return values;
}

}  // namespace nla
