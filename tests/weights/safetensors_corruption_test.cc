// Damaged and lying safetensors files: an error that names what is wrong, or a read that stays inside the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "weights/safetensors.h"
#include "weights_testing.h"

namespace nla {
namespace {

using testing::HasSubstr;

std::string FileOf(std::string_view header, std::string_view data) {
  return Raw<uint64_t>(header.size()) + std::string(header) + std::string(data);
}

// Whatever was read must be sound: sizes follow from shapes, and the tensors cover the data section exactly.
void CheckSound(const SafetensorsFile& file, uint64_t file_size) {
  uint64_t covered = 0;
  uint64_t sum = 0;
  for (const TensorView& view : file.tensors()) {
    ASSERT_EQ(view.bytes.size(), static_cast<uint64_t>(view.numel()) * SizeOf(view.dtype));
    for (const std::byte byte : view.bytes) sum += std::to_integer<uint64_t>(byte);
    covered += view.bytes.size();
  }
  ASSERT_LE(covered + 8, file_size);
  ASSERT_LE(sum, covered * 255);
}

std::string ErrorOfBytes(const Scratch& scratch, std::string_view bytes) {
  const fs::path path = scratch.Put("file.safetensors", bytes);
  return ErrorOf([&] { CheckSound(SafetensorsFile::Open(path), bytes.size()); });
}

TEST(SafetensorsCorruption, EveryTruncationIsAnError) {
  const Scratch scratch;
  const std::string whole = ReadFile(Golden("dtypes.safetensors"));
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THAT(ErrorOfBytes(scratch, whole.substr(0, length)), HasSubstr("file.safetensors")) << length;
  }
}

TEST(SafetensorsCorruption, EveryFlippedByteIsAnErrorOrASoundRead) {
  const Scratch scratch;
  const std::string whole = ReadFile(Golden("dtypes.safetensors"));
  int refused = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int mask : {0x01, 0x10, 0x80, 0xff}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ mask);
      refused += !ErrorOfBytes(scratch, bytes).empty();
    }
  }
  EXPECT_GT(refused, 1000);  // most of the header's flips break JSON, a key, a size or an offset
}

TEST(SafetensorsCorruption, GrowthIsAnError) {
  const Scratch scratch;
  const std::string whole = ReadFile(Golden("dtypes.safetensors"));
  for (const size_t extra : {1, 8, 4096}) {
    EXPECT_THAT(ErrorOfBytes(scratch, whole + std::string(extra, '\0')), HasSubstr("bytes after the last tensor"));
  }
}

TEST(SafetensorsCorruption, LiesAboutTheHeaderLength) {
  const Scratch scratch;
  const std::string whole = ReadFile(Golden("dtypes.safetensors"));
  const uint64_t longest = whole.size() - 8;
  for (const uint64_t length : {longest + 1, uint64_t{100'000'001}, uint64_t{1} << 63, UINT64_MAX, UINT64_MAX - 7}) {
    EXPECT_THAT(ErrorOfBytes(scratch, Raw(length) + whole.substr(8)), HasSubstr("header length")) << length;
  }
  EXPECT_NE(ErrorOfBytes(scratch, Raw<uint64_t>(0) + whole.substr(8)), "");
}

struct Lie {
  const char* header;
  const char* error;  // part of the message
};

// The data section has 8 bytes in each case.
const Lie kLies[] = {
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "shape and data disagree: found 8 bytes, wanted 12"},
    {R"({"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}})", "wanted 16"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}})", "reach outside the file"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})", "reach outside the file"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", "reach outside the file"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", "not a count: found -8"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551616]}})", "not a count"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8.0]}})", "not a count"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", "not a list of two"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":"08"}})", "not a list of two"},
    {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "not a count: found -2"},
    {R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", "not a count"},
    {R"({"a":{"dtype":"F32","shape":"2","data_offsets":[0,8]}})", "shape is not a list"},
    {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", "a shape that fits in memory"},
    {R"({"a":{"dtype":"F32","shape":[4611686018427387904,2],"data_offsets":[0,8]}})", "a shape that fits in memory"},
    {R"({"a":{"dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8]}})", "a shape that fits in memory"},
    {R"({"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})", "unsupported element type: found F33"},
    {R"({"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}})", "dtype is not a string"},
    {R"({"a":{"shape":[2],"data_offsets":[0,8]}})", "dtype is missing"},
    {R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", "shape is missing"},
    {R"({"a":{"dtype":"F32","shape":[2]}})", "data_offsets is missing"},
    {R"({"a":[0,8]})", "header entry is not an object"},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
     "duplicate name in JSON: found a"},
    {R"({"a":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}})", "duplicate name in JSON: found dtype"},
    {R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
     "tensor b: data overlaps the tensor before it"},
    {R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
     "data overlaps"},
    {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
     "tensor b: unused bytes before the data"},
    {R"({"a":{"dtype":"U8","shape":[7],"data_offsets":[1,8]}})", "unused bytes before the data"},
    {R"({"a":{"dtype":"U8","shape":[7],"data_offsets":[0,7]}})", "bytes after the last tensor: found 1 bytes"},
    {R"({})", "bytes after the last tensor: found 8 bytes"},
    {R"({"__metadata__":{"a":1}})", "__metadata__: a: not a string"},
    {R"({"__metadata__":[]})", "__metadata__: not an object"},
    {R"([])", "not a JSON object"},
    {R"({"a":)", "not valid JSON"},
    {"{\"\xff\":{}}", "not valid JSON"},
    {R"({"a":1e999})", "not valid JSON"},
    {"", "not valid JSON"},
};

class SafetensorsLies : public testing::TestWithParam<Lie> {};

TEST_P(SafetensorsLies, AreErrorsThatSayWhat) {
  const Scratch scratch;
  EXPECT_THAT(ErrorOfBytes(scratch, FileOf(GetParam().header, "12345678")), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(All, SafetensorsLies, testing::ValuesIn(kLies));

TEST(SafetensorsCorruption, DeepNestingIsAnErrorNotACrash) {
  const Scratch scratch;
  EXPECT_THAT(ErrorOfBytes(scratch, FileOf(std::string(1'000'000, '['), "")), HasSubstr("nested deeper"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(ErrorOfBytes(scratch, FileOf(objects, "")), HasSubstr("nested deeper"));
}

TEST(SafetensorsCorruption, MissingFileAndDirectoryAreErrors) {
  const Scratch scratch;
  EXPECT_THAT(ErrorOf([&] { SafetensorsFile::Open(scratch / "none"); }), HasSubstr("none"));
  EXPECT_NE(ErrorOf([&] { SafetensorsFile::Open(scratch / "."); }), "");
}

}  // namespace
}  // namespace nla
