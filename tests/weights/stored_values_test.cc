// Rounding and quantising of rows. Equality with the gguf package is in check_families.py.
#include "weights/stored_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "weights_testing.h"

namespace nla {
namespace {

using testing::HasSubstr;

std::string StoreOne(float value, DType dtype) {
  std::vector<std::byte> out;
  return ErrorOf([&] { AppendStored(std::span(&value, 1), dtype, "tensor t", out); });
}

TEST(StoredValues, TheLastValueThatFitsFits) {
  const float over_half = 65520.0f;
  const float over_bf16 = 0x1.ffp127f;
  EXPECT_EQ(StoreOne(std::nextafter(over_half, 0.0f), DType::kF16), "");
  EXPECT_THAT(StoreOne(over_half, DType::kF16), HasSubstr("tensor t: a value that F16 cannot hold: found 65520"));
  EXPECT_EQ(StoreOne(std::nextafter(over_bf16, 0.0f), DType::kBF16), "");
  EXPECT_THAT(StoreOne(-over_bf16, DType::kBF16), HasSubstr("a value that BF16 cannot hold"));
  EXPECT_EQ(StoreOne(std::numeric_limits<float>::max(), DType::kF32), "");
  EXPECT_THAT(StoreOne(std::nanf(""), DType::kF32), HasSubstr("a value that F32 cannot hold: found nan"));
}

TEST(StoredValues, Q8RoundsHalvesAwayFromZero) {
  std::vector<float> values(32, 0.0f);
  values[0] = 127;  // a scale of 1
  values[1] = 2.5f;
  values[2] = -2.5f;
  values[3] = 2.49f;
  std::vector<std::byte> out;
  AppendGguf(values, GgmlType::kQ8_0, "t", out);
  ASSERT_EQ(out.size(), 34u);
  EXPECT_EQ(static_cast<int8_t>(out[2]), 127);
  EXPECT_EQ(static_cast<int8_t>(out[3]), 3);
  EXPECT_EQ(static_cast<int8_t>(out[4]), -3);
  EXPECT_EQ(static_cast<int8_t>(out[5]), 2);
}

TEST(StoredValues, ABlockOfZerosHasNoScale) {
  std::vector<std::byte> out;
  AppendGguf(std::vector<float>(32, 0.0f), GgmlType::kQ8_0, "t", out);
  EXPECT_EQ(out, std::vector<std::byte>(34));
}

}  // namespace
}  // namespace nla
