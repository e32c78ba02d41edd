// Rounding to bf16 and fp16 against torch and numpy, and back over all 65,536 patterns.
#include "weights/float_bits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "weights/safetensors.h"
#include "weights_testing.h"

namespace nla {
namespace {

template <typename T>
std::vector<T> Values(const SafetensorsFile& file, std::string_view name) {
  const TensorView* view = file.Find(name);
  std::vector<T> values(view->bytes.size() / sizeof(T));
  std::memcpy(values.data(), view->bytes.data(), view->bytes.size());
  return values;
}

TEST(FloatBits, RoundsAsTorchAndNumpyDo) {
  const SafetensorsFile golden = SafetensorsFile::Open(Golden("rounding.safetensors"));
  const auto values = Values<float>(golden, "f32");
  const auto bf16 = Values<uint16_t>(golden, "bf16");
  const auto f16 = Values<uint16_t>(golden, "f16");
  ASSERT_GT(values.size(), 5000u);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(Bf16FromFloat(values[i]), bf16[i]) << values[i];
    ASSERT_EQ(HalfFromFloat(values[i]), f16[i]) << values[i];
  }
}

TEST(FloatBits, EveryPatternSurvivesTheWayThere) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto pattern = static_cast<uint16_t>(bits);
    const float bf16 = FloatFromBf16(pattern);
    const float half = FloatFromHalf(pattern);
    ASSERT_TRUE(std::isnan(bf16) || Bf16FromFloat(bf16) == pattern) << bits;
    ASSERT_TRUE(std::isnan(half) || HalfFromFloat(half) == pattern) << bits;
    ASSERT_EQ(std::isnan(half), (pattern & 0x7c00) == 0x7c00 && (pattern & 0x3ff) != 0);
  }
}

TEST(FloatBits, KnownValues) {
  EXPECT_EQ(FloatFromHalf(0x3c00), 1.0f);
  EXPECT_EQ(FloatFromHalf(0x0001), 0x1p-24f);
  EXPECT_EQ(FloatFromHalf(0x7bff), 65504.0f);
  EXPECT_TRUE(std::isinf(FloatFromHalf(0xfc00)));
  EXPECT_TRUE(std::signbit(FloatFromHalf(0x8000)));
}

TEST(FloatBits, NanStaysNan) {
  // A payload in the low bits alone must not round to infinity.
  const float nan = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(FloatFromBf16(Bf16FromFloat(nan))));
  EXPECT_TRUE(std::isnan(FloatFromHalf(HalfFromFloat(nan))));
  EXPECT_TRUE(std::isnan(FloatFromBf16(Bf16FromFloat(-std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace nla
