// Reading what the gguf package writes: metadata of every type, tensors of every type, values bit for bit.
#include "weights/gguf.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "weights/safetensors.h"
#include "weights_testing.h"

namespace nla {
namespace {

TEST(Gguf, ReadsMetadataOfEveryType) {
  const GgufFile file = GgufFile::Open(Golden("blocks.gguf"));
  const nlohmann::json& metadata = file.metadata();
  EXPECT_EQ(metadata.at("general.architecture"), "golden");
  EXPECT_EQ(metadata.at("test.u8"), 255);
  EXPECT_EQ(metadata.at("test.i8"), -128);
  EXPECT_EQ(metadata.at("test.u16"), 65535);
  EXPECT_EQ(metadata.at("test.i16"), -32768);
  EXPECT_EQ(metadata.at("test.u32"), UINT32_MAX);
  EXPECT_EQ(metadata.at("test.i32"), INT32_MIN);
  EXPECT_EQ(metadata.at("test.u64"), UINT64_MAX);
  EXPECT_EQ(metadata.at("test.i64"), INT64_MIN);
  EXPECT_EQ(metadata.at("test.f32"), 1e-5);  // not 9.999999747378752e-06
  EXPECT_EQ(metadata.at("test.f64"), 0.1);
  EXPECT_EQ(metadata.at("test.yes"), true);
  EXPECT_EQ(metadata.at("test.no"), false);
  EXPECT_EQ(metadata.at("test.string"), "Ġgrüße 🙂");
  EXPECT_EQ(metadata.at("test.strings"), nlohmann::json({"a", "", "🙂"}));
  EXPECT_EQ(metadata.at("test.ints"), nlohmann::json({1, -2, 3}));
  EXPECT_EQ(metadata.at("test.floats"), nlohmann::json({0.5, 1e-5}));
}

// The places where two rows of values differ: other bits, except that one NaN is as good as another.
size_t Differences(std::span<const float> values, std::span<const std::byte> wanted) {
  EXPECT_EQ(std::as_bytes(values).size(), wanted.size());
  size_t count = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    float other;
    std::memcpy(&other, wanted.data() + i * sizeof(other), sizeof(other));
    const bool same = std::bit_cast<uint32_t>(values[i]) == std::bit_cast<uint32_t>(other);
    count += !same && !(std::isnan(values[i]) && std::isnan(other));
  }
  return count;
}

TEST(Gguf, ValuesOfEveryTypeEqualThePackagesBitForBit) {
  const GgufFile file = GgufFile::Open(Golden("blocks.gguf"));
  const SafetensorsFile golden = SafetensorsFile::Open(Golden("blocks_dequantized.safetensors"));
  ASSERT_EQ(file.tensors().size(), 16u);
  for (const GgufTensor& tensor : file.tensors()) {
    const TensorView* wanted = golden.Find(tensor.name);
    ASSERT_NE(wanted, nullptr) << tensor.name;
    EXPECT_EQ(tensor.shape, wanted->shape) << tensor.name;
    EXPECT_EQ(Differences(Dequantize(tensor), wanted->bytes), 0u) << tensor.name;
  }
}

TEST(Gguf, RowsAreSlicesOfTheWhole) {
  const GgufFile file = GgufFile::Open(Golden("blocks.gguf"));
  for (const GgufTensor& tensor : file.tensors()) {
    const std::vector<float> whole = Dequantize(tensor);
    const auto width = static_cast<size_t>(RowWidth(tensor));
    ASSERT_EQ(whole.size(), static_cast<size_t>(RowCount(tensor)) * width);
    std::vector<float> row(width);
    for (int64_t i = RowCount(tensor) - 1; i >= 0; --i) {
      DequantizeRow(tensor, i, row);
      const auto slice = std::span(whole).subspan(static_cast<size_t>(i) * width, width);
      EXPECT_EQ(Text(std::as_bytes(std::span(row))), Text(std::as_bytes(slice)));
    }
  }
}

TEST(Gguf, InfiniteAndNanScalesStayWhatTheyAre) {
  GgufMaker maker;
  maker.data = Raw<uint16_t>(0x7c00) + std::string(32, '\1') + std::string(30, '\0') + Raw<uint16_t>(0x7e00) +
               std::string(32, '\1');
  maker.Tensor("inf", {32}, 8, 0);
  maker.Tensor("nan", {32}, 8, 64);
  const Scratch scratch;
  const GgufFile file = GgufFile::Open(scratch.Put("f.gguf", maker.Bytes()));
  EXPECT_TRUE(std::isinf(Dequantize(*file.Find("inf"))[5]));
  EXPECT_TRUE(std::isnan(Dequantize(*file.Find("nan"))[5]));
}

TEST(Gguf, ReadsVersionTwoAndAnotherAlignment) {
  GgufMaker maker;
  maker.version = 2;
  maker.alignment = 8;
  maker.Pair("general.alignment", 4, Raw<uint32_t>(8));
  maker.Pair("filler", 10, Raw<uint64_t>(0));
  maker.Tensor("a", {2}, 0, 0);
  maker.Tensor("b", {2}, 0, 8);
  maker.data = Raw(1.0f) + Raw(2.0f) + Raw(3.0f) + Raw(4.0f);
  const std::string bytes = maker.Bytes();
  ASSERT_NE((bytes.size() - maker.data.size()) % 32, 0u);  // so that the default alignment would read other values
  const Scratch scratch;
  const GgufFile file = GgufFile::Open(scratch.Put("f.gguf", bytes));
  EXPECT_EQ(Dequantize(*file.Find("a")), (std::vector<float>{1, 2}));
  EXPECT_EQ(Dequantize(*file.Find("b")), (std::vector<float>{3, 4}));
}

TEST(Gguf, ReadsNestedArraysAndNoTensors) {
  GgufMaker maker;
  maker.data = "";
  // [[1, 2], []]: an array of two arrays, of u8 and of strings.
  maker.Pair("nested", 9,
             Raw<uint32_t>(9) + Raw<uint64_t>(2) + Raw<uint32_t>(0) + Raw<uint64_t>(2) + "\1\2" + Raw<uint32_t>(8) +
                 Raw<uint64_t>(0));
  const Scratch scratch;
  const GgufFile file = GgufFile::Open(scratch.Put("f.gguf", maker.Bytes()));
  EXPECT_EQ(file.metadata().at("nested"), nlohmann::json::parse("[[1,2],[]]"));
  EXPECT_TRUE(file.tensors().empty());
}

}  // namespace
}  // namespace nla
