// Damaged and lying GGUF files: an error that names what is wrong, or a read that stays inside the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "base/file.h"
#include "weights/gguf.h"
#include "weights_testing.h"

namespace nla {
namespace {

using testing::HasSubstr;

// Opens and touches every value, so that a sanitizer sees a read outside the file.
std::string ErrorOfBytes(const Scratch& scratch, std::string_view bytes) {
  const fs::path path = scratch.Put("file.gguf", bytes);
  return ErrorOf([&] {
    const GgufFile file = GgufFile::Open(path);
    for (const GgufTensor& tensor : file.tensors()) {
      ASSERT_EQ(Dequantize(tensor).size(), static_cast<size_t>(RowCount(tensor) * RowWidth(tensor)));
    }
    ASSERT_FALSE(file.metadata().dump().empty());  // throws where a string is not UTF-8
  });
}

std::string ErrorOfMaker(const GgufMaker& maker) {
  const Scratch scratch;
  return ErrorOfBytes(scratch, maker.Bytes());
}

TEST(GgufCorruption, EveryTruncationIsAnErrorOrLosesPaddingOnly) {
  const Scratch scratch;
  const std::string whole = ReadFile(Golden("blocks.gguf"));
  const GgufFile file = GgufFile::Open(Golden("blocks.gguf"));
  size_t end = 0;  // of the last tensor's values
  for (const GgufTensor& tensor : file.tensors()) {
    const size_t at = whole.rfind(Text(tensor.bytes));
    end = std::max(end, at + tensor.bytes.size());
  }
  ASSERT_GT(end, whole.size() - 32);
  for (size_t length = 0; length < whole.size(); length += length < 3000 ? 1 : 37) {
    const std::string error = ErrorOfBytes(scratch, whole.substr(0, length));
    EXPECT_EQ(error.empty(), length >= end) << length;
    EXPECT_TRUE(error.empty() || error.find("file.gguf") != std::string::npos) << error;
  }
}

TEST(GgufCorruption, EveryFlippedByteIsAnErrorOrASoundRead) {
  const Scratch scratch;
  const std::string whole = ReadFile(Golden("blocks.gguf"));
  int refused = 0;
  for (size_t at = 0; at < whole.size(); at += at < 3000 ? 1 : 61) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ mask);
      refused += !ErrorOfBytes(scratch, bytes).empty();
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(GgufCorruption, GrowthIsReadAsBefore) {
  const Scratch scratch;
  const std::string whole = ReadFile(Golden("blocks.gguf"));
  EXPECT_EQ(ErrorOfBytes(scratch, whole + std::string(4096, '\7')), "");
}

TEST(GgufCorruption, LiesAboutCounts) {
  for (const uint64_t lie : {uint64_t{1}, uint64_t{1000}, uint64_t{1} << 40, UINT64_MAX - 1}) {
    GgufMaker maker;
    maker.Pair("a", 0, "\1");
    maker.Tensor("t", {2}, 0, 0);
    maker.tensor_count_lie = lie;
    EXPECT_NE(ErrorOfMaker(maker), "") << lie;
    maker.tensor_count_lie = 0;
    maker.pair_count_lie = lie;
    EXPECT_NE(ErrorOfMaker(maker), "") << lie;
  }
}

TEST(GgufCorruption, WrongMagicAndVersions) {
  GgufMaker maker;
  maker.magic = "GGML";
  EXPECT_THAT(ErrorOfMaker(maker), HasSubstr("not a GGUF file"));
  maker.magic = "GGUF";
  for (const uint32_t version : {0u, 1u, 4u}) {
    maker.version = version;
    EXPECT_NE(ErrorOfMaker(maker), "");
  }
  maker.version = 3u << 24;
  EXPECT_THAT(ErrorOfMaker(maker), HasSubstr("big-endian"));
}

TEST(GgufCorruption, LiesAboutMetadata) {
  const auto error = [](uint32_t type, const std::string& value) {
    GgufMaker maker;
    maker.Pair("the.key", type, value);
    return ErrorOfMaker(maker);
  };
  const std::string huge = Raw(uint64_t{1} << 62);
  EXPECT_THAT(error(8, huge + "abc"), HasSubstr("the.key: a length reaches outside the file"));
  EXPECT_THAT(error(8, Raw(UINT64_MAX)), HasSubstr("the.key: a length"));
  EXPECT_THAT(error(8, GgufString("\xc3")), HasSubstr("not UTF-8"));
  EXPECT_THAT(error(8, GgufString("\xed\xa0\x80")), HasSubstr("not UTF-8"));      // a surrogate
  EXPECT_THAT(error(8, GgufString("\xc0\xaf")), HasSubstr("not UTF-8"));          // overlong
  EXPECT_THAT(error(8, GgufString("\xf4\x90\x80\x80")), HasSubstr("not UTF-8"));  // past U+10FFFF
  EXPECT_EQ(error(8, GgufString("\xf4\x8f\xbf\xbf\xed\x9f\xbf")), "");
  EXPECT_THAT(error(7, "\2"), HasSubstr("the.key: a truth value"));
  EXPECT_THAT(error(13, "\2"), HasSubstr("the.key: unknown metadata type: found 13"));
  EXPECT_THAT(error(9, Raw<uint32_t>(0) + huge), HasSubstr("the.key: a length"));
  EXPECT_THAT(error(9, Raw<uint32_t>(10) + Raw(UINT64_MAX / 8 + 2)), HasSubstr("the.key: a length"));
  EXPECT_THAT(error(9, Raw<uint32_t>(77) + Raw<uint64_t>(0)), HasSubstr("unknown type of array elements: found 77"));
}

TEST(GgufCorruption, NestedArraysAreBounded) {
  const std::string one_array = Raw<uint32_t>(9) + Raw<uint64_t>(1);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += one_array;
  GgufMaker maker;
  maker.Pair("deep", 9, deep);
  EXPECT_THAT(ErrorOfMaker(maker), HasSubstr("deep: arrays nested deeper than 4"));
}

TEST(GgufCorruption, AFileOfTinyElementsCannotTakeTheMemory) {
  const uint64_t many = (uint64_t{1} << 24) + 1;
  GgufMaker maker;
  maker.Pair("bytes", 9, Raw<uint32_t>(0) + Raw(many) + std::string(many, '\1'));
  EXPECT_THAT(ErrorOfMaker(maker), HasSubstr("bytes: too many metadata array elements"));
}

TEST(GgufCorruption, DuplicatesAreErrors) {
  GgufMaker maker;
  maker.Pair("a", 0, "\1");
  maker.Pair("a", 0, "\1");
  EXPECT_THAT(ErrorOfMaker(maker), HasSubstr("duplicate metadata key: found a"));
  GgufMaker tensors;
  tensors.Tensor("t", {2}, 0, 0);
  tensors.Tensor("t", {2}, 0, 32);
  EXPECT_THAT(ErrorOfMaker(tensors), HasSubstr("duplicate tensor name: found t"));
}

TEST(GgufCorruption, LiesAboutAlignment) {
  for (const uint32_t alignment : {0u, 3u, 24u, 1u << 21, UINT32_MAX}) {
    GgufMaker maker;
    maker.Pair("general.alignment", 4, Raw(alignment));
    EXPECT_THAT(ErrorOfMaker(maker), HasSubstr("not a sensible alignment")) << alignment;
  }
  GgufMaker maker;
  maker.Pair("general.alignment", 8, GgufString("32"));
  EXPECT_THAT(ErrorOfMaker(maker), HasSubstr("not a sensible alignment"));
}

struct TensorLie {
  std::vector<uint64_t> extents;
  uint32_t type;
  uint64_t offset;
  const char* error;
};

// The data section has 64 bytes in each case.
const TensorLie kTensorLies[] = {
    {{17}, 0, 0, "data reaches outside the file"},
    {{2}, 0, 64, "data reaches outside the file"},
    {{2}, 0, uint64_t{1} << 40, "data reaches outside the file"},
    {{2}, 0, UINT64_MAX - 31, "data reaches outside the file"},
    {{2}, 0, 4, "data is not aligned"},
    {{}, 0, 0, "number of axes: found 0"},
    {{1, 1, 1, 1, 1}, 0, 0, "number of axes: found 5"},
    {{0}, 0, 0, "extent of an axis: found 0"},
    {{UINT64_MAX}, 0, 0, "extent of an axis"},
    {{uint64_t{1} << 32, uint64_t{1} << 32}, 0, 0, "a shape too large for any file"},
    {{uint64_t{1} << 62, 1}, 0, 0, "a shape too large for any file"},
    {{uint64_t{1} << 62, 32}, 8, 0, "a shape too large for any file"},
    {{16}, 2, 0, "row width for Q4_0: found 16, wanted a multiple of 32"},
    {{31, 32}, 8, 0, "row width for Q8_0: found 31"},
    {{128}, 12, 0, "row width for Q4_K: found 128, wanted a multiple of 256"},
    {{256}, 9, 0, "unsupported tensor type: found Q8_1, wanted F32"},
    {{256}, 15, 0, "unsupported tensor type: found Q8_K"},
    {{256}, 16, 0, "unsupported tensor type: found IQ2_XXS"},
    {{2}, 99, 0, "unsupported tensor type: found number 99"},
    {{2}, UINT32_MAX, 0, "unsupported tensor type"},
};

class GgufTensorLies : public testing::TestWithParam<TensorLie> {};

TEST_P(GgufTensorLies, AreErrorsThatSayWhat) {
  const TensorLie& lie = GetParam();
  GgufMaker maker;
  maker.Tensor("good", {2}, 0, 0);
  maker.Tensor("bad", lie.extents, lie.type, lie.offset);
  EXPECT_THAT(ErrorOfMaker(maker), HasSubstr(std::string("tensor bad: ") + lie.error));
}

INSTANTIATE_TEST_SUITE_P(All, GgufTensorLies, testing::ValuesIn(kTensorLies));

TEST(GgufCorruption, OverlapIsAnError) {
  GgufMaker maker;
  maker.Tensor("a", {9}, 0, 0);
  maker.Tensor("b", {2}, 0, 32);
  EXPECT_THAT(ErrorOfMaker(maker), HasSubstr("tensor b: data overlaps another tensor's"));
}

}  // namespace
}  // namespace nla
