// Numbers against strtof, arrays by their shape, and what is refused.
#include "serve/float_scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/error_testing.h"
#include "serve/float_testing.h"

namespace nla::serve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(FloatScanner, AgreesWithStrtof) {
  for (const char* text : {"0",
                           "-0",
                           "0.0",
                           "1",
                           "-1",
                           "10",
                           "0.1",
                           "1e0",
                           "1E+2",
                           "1e-2",
                           "123456789012345678901234567890",
                           "1e38",
                           "3.4028235e38",
                           "3.4028235677973366e38",
                           "-3.4028235677973366e38",
                           "1.17549435e-38",
                           "1.1754942e-38",
                           "1e-45",
                           "1.4e-45",
                           "7e-46",
                           "7.006492321624085e-46",
                           "7.006492321624086e-46",
                           "1e-60",
                           "1e-400",
                           "0e999999999",
                           "16777217",
                           "16777219",
                           "16777217.0000000000000000000000000000001",
                           "0.000000000000000000000000000000000000001",
                           "8388608.5",
                           "8388609.5",
                           "33554434.0",
                           "33554435",
                           "9007199254740993",
                           "4.35e2",
                           "0.30000000000000004",
                           "1234567890123456789",
                           "12345678901234567890",
                           "0.00000000000000000001234567890123456789"}) {
    ExpectLikeStrtof(text);
  }
}

TEST(FloatScanner, AgreesWithStrtofOnRandomNumbers) { ExpectRandomNumbersLikeStrtof(200000, 1); }

TEST(FloatScanner, RefusesWhatIsNoJsonNumber) {
  for (const std::string text :
       {"", "-", "+1", ".5", "1.", "01", "-01", "1e", "1e+", "NaN", "Infinity", "0x10", " 1", "e5", "--1"}) {
    const ScannedFloat scanned = ScanFloat(text.data(), text.data() + text.size());
    // A number may begin there, but then it ends before the text does.
    EXPECT_TRUE(scanned.fault == ScannedFloat::Fault::kNotANumber || scanned.end != text.data() + text.size()) << text;
  }
  for (const std::string text : {"1e39", "-1e39", "3.4028236e38", "1e999999999999999999999"}) {
    EXPECT_EQ(ScanFloat(text.data(), text.data() + text.size()).fault, ScannedFloat::Fault::kOutOfRange) << text;
  }
}

TEST(FloatScanner, ArraysKeepTheirShape) {
  const ScannedArray flat = ScanFloatArray("x[1, -2.5,3e2]y", 1, "f");
  EXPECT_EQ(flat.end, 14U);
  EXPECT_EQ(flat.floats.depth, 1);
  EXPECT_THAT(flat.floats.values, ElementsAre(1, -2.5, 300));
  EXPECT_THAT(flat.floats.lengths, ElementsAre(ElementsAre(3)));

  const NestedFloats nested = ScanFloatArray(" [ [ [1,2] ,\n[3,4]],[[5,6]] ] ", 1, "f").floats;
  EXPECT_EQ(nested.depth, 3);
  EXPECT_THAT(nested.values, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(nested.lengths, ElementsAre(ElementsAre(2), ElementsAre(2, 1), ElementsAre(2, 2, 2)));

  EXPECT_EQ(ScanFloatArray("[]", 0, "f").floats.depth, 1);
  EXPECT_THAT(ScanFloatArray("[[],[1]]", 0, "f").floats.lengths, ElementsAre(ElementsAre(2), ElementsAre(0, 1)));
}

TEST(FloatScanner, RefusedArraysNameTheFieldAndThePlace) {
  const auto refusal = [](const std::string& text) {
    return Refusal([&] { ScanFloatArray(text, 0, "input_embeds"); });
  };
  EXPECT_THAT(refusal("[1, NaN]"),
              HasSubstr("input_embeds: is not an array of numbers (byte 4 of the body): found \"NaN]\""));
  EXPECT_THAT(refusal("[1e40]"), HasSubstr("does not fit fp32"));
  EXPECT_THAT(refusal("[[1],2]"), HasSubstr("mixes numbers and arrays"));
  EXPECT_THAT(refusal("[1,[2]]"), HasSubstr("mixes numbers and arrays"));
  EXPECT_THAT(refusal("[[[[1]]]]"), HasSubstr("nested too deep"));
  EXPECT_THAT(refusal("[[],1]"), HasSubstr("mixes numbers and arrays"));
  for (const char* cut : {"[", "[1", "[1,", "[[1]", "[1 2]", "[\"1\"]", "[null]", "[,]", "[1,]"}) {
    EXPECT_THAT(refusal(cut), HasSubstr("input_embeds: ")) << cut;
  }
}

}  // namespace
}  // namespace nla::serve
