// Reading what the safetensors package writes, and reading back what we write.
#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "weights_testing.h"

namespace nla {
namespace {

std::string Hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const std::byte byte : bytes) {
    hex += kDigits[std::to_integer<size_t>(byte) >> 4];
    hex += kDigits[std::to_integer<size_t>(byte) & 15];
  }
  return hex;
}

TEST(Safetensors, ReadsEveryTypeThePackageWrites) {
  const std::map<std::string, DType> types = {
      {"float64", DType::kF64}, {"float32", DType::kF32}, {"float16", DType::kF16}, {"bfloat16", DType::kBF16},
      {"int64", DType::kI64},   {"int32", DType::kI32},   {"int16", DType::kI16},   {"int8", DType::kI8},
      {"uint8", DType::kU8},    {"bool", DType::kBool}};
  const SafetensorsFile file = SafetensorsFile::Open(Golden("dtypes.safetensors"));
  const auto golden = nlohmann::json::parse(ReadFile(Golden("dtypes.json")));
  EXPECT_EQ(nlohmann::json(file.metadata()), golden.at("metadata"));
  ASSERT_EQ(file.tensors().size(), golden.at("tensors").size());
  for (const auto& [name, facts] : golden.at("tensors").items()) {
    const TensorView* view = file.Find(name);
    ASSERT_NE(view, nullptr) << name;
    EXPECT_EQ(view->name, name);
    EXPECT_EQ(view->dtype, types.at(facts.at("dtype"))) << name;
    EXPECT_EQ(view->shape, facts.at("shape").get<std::vector<int64_t>>()) << name;
    EXPECT_EQ(Hex(view->bytes), facts.at("hex")) << name;
  }
}

TEST(Safetensors, TensorsAreSortedByName) {
  const SafetensorsFile file = SafetensorsFile::Open(Golden("dtypes.safetensors"));
  std::vector<std::string> names;
  for (const TensorView& view : file.tensors()) names.push_back(view.name);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(file.Find("f3"), nullptr);
  EXPECT_EQ(file.Find("zzz"), nullptr);
}

TEST(Safetensors, WhatWeWriteReadsBackTheSame) {
  const Scratch scratch;
  const SafetensorsFile first = SafetensorsFile::Open(Golden("dtypes.safetensors"));
  WriteSafetensors(scratch / "copy.safetensors", first.tensors(), first.metadata());
  const SafetensorsFile second = SafetensorsFile::Open(scratch / "copy.safetensors");
  EXPECT_EQ(second.metadata(), first.metadata());
  ASSERT_EQ(second.tensors().size(), first.tensors().size());
  for (const TensorView& view : first.tensors()) {
    const TensorView* copy = second.Find(view.name);
    ASSERT_NE(copy, nullptr) << view.name;
    EXPECT_EQ(copy->dtype, view.dtype);
    EXPECT_EQ(copy->shape, view.shape);
    EXPECT_EQ(Text(copy->bytes), Text(view.bytes));
  }
}

TEST(Safetensors, DataStartsOnAMultipleOfEight) {
  const Scratch scratch;
  for (const std::string name : {"a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"}) {
    const std::vector<TensorView> tensors = {{name, DType::kU8, {0}, {}}};
    WriteSafetensors(scratch / name, tensors);
    EXPECT_EQ(fs::file_size(scratch / name) % 8, 0u);
  }
}

TEST(Safetensors, NoTensorsAtAllIsAFile) {
  const Scratch scratch;
  WriteSafetensors(scratch / "none", {});
  EXPECT_TRUE(SafetensorsFile::Open(scratch / "none").tensors().empty());
}

TEST(Safetensors, AppendTakesPiecesAndNothingIsThereBeforeCommit) {
  const Scratch scratch;
  const std::string bytes = "0123456789abcdef";
  const std::vector<TensorSpec> specs = {{"a", DType::kU8, {6}}, {"b", DType::kI16, {5}}};
  {
    SafetensorsWriter abandoned(scratch / "x", specs);
    abandoned.Append(std::as_bytes(std::span(bytes).first(3)));
  }
  EXPECT_TRUE(scratch.Names().empty());
  SafetensorsWriter writer(scratch / "x", specs);
  writer.Append(std::as_bytes(std::span(bytes).first(3)));
  writer.Append(std::as_bytes(std::span(bytes).subspan(3)));
  EXPECT_FALSE(fs::exists(scratch / "x"));
  writer.Commit();
  const SafetensorsFile file = SafetensorsFile::Open(scratch / "x");
  EXPECT_EQ(Text(file.Find("a")->bytes), "012345");
  EXPECT_EQ(Text(file.Find("b")->bytes), "6789abcdef");
  EXPECT_THAT(scratch.Names(), testing::ElementsAre("x"));
}

TEST(SafetensorsDeathTest, WriterRefusesWrongUse) {
  const Scratch scratch;
  const std::string bytes = "0123";
  const std::vector<TensorView> twice = {{"a", DType::kU8, {0}, {}}, {"a", DType::kU8, {0}, {}}};
  EXPECT_DEATH(WriteSafetensors(scratch / "x", twice), "bug");
  const std::vector<TensorView> short_bytes = {{"a", DType::kF32, {2}, std::as_bytes(std::span(bytes))}};
  EXPECT_DEATH(WriteSafetensors(scratch / "x", short_bytes), "bug");
}

}  // namespace
}  // namespace nla
