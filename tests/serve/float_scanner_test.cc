// Numbers against strtof, arrays by their shape, and what is refused.
#include "serve/float_scanner.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

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

// Several threads read texts of this size: rows of all lengths from 1 to 97, with space here and there.
struct Large {
  std::string text;
  NestedFloats floats;
};
Large MakeLarge(int depth, int64_t rows_an_element) {
  Large large;
  large.floats.depth = depth;
  large.floats.lengths.resize(depth);
  std::vector<std::vector<int64_t>>& lengths = large.floats.lengths;
  large.text = depth == 3 ? "[[" : "[";
  int64_t in_element = 0;
  for (int64_t row = 0; large.text.size() < 5 << 20; ++row) {
    if (depth == 3 && in_element == rows_an_element) {
      large.text += "],\n[";
      lengths[1].push_back(std::exchange(in_element, 0));
    }
    large.text += in_element == 0 ? "[" : row % 7 == 0 ? " ,\t[ " : ",[";
    const int64_t width = 1 + row * 31 % 97;
    for (int64_t i = 0; i < width; ++i) {
      const double value = 0.0123456789 * static_cast<double>((row * 131 + i * 17) % 1999 - 999);
      large.text += fmt::format("{}{}", i == 0 ? "" : ", ", value);
      large.floats.values.push_back(static_cast<float>(value));
    }
    large.text += row % 11 == 0 ? " ]" : "]";
    lengths.back().push_back(width);
    ++in_element;
  }
  lengths[depth - 2].push_back(in_element);
  if (depth == 3) lengths[0].push_back(static_cast<int64_t>(lengths[1].size()));
  large.text += depth == 3 ? "]]" : "]";
  return large;
}

TEST(FloatScanner, ThreadsReadLongArraysAsOneWould) {
  for (const auto& [depth, rows_an_element] : {std::pair{2, 0}, {3, 1}, {3, 5}, {3, 3000}}) {
    const Large large = MakeLarge(depth, rows_an_element);
    const ScannedArray found = ScanFloatArray(large.text + R"(,"other":[[1],[2]]})", 0, "f");
    EXPECT_EQ(found.end, large.text.size());
    EXPECT_EQ(found.floats.depth, depth);
    EXPECT_EQ(found.floats.lengths, large.floats.lengths);
    EXPECT_EQ(found.floats.values, large.floats.values);
  }
  // What is wrong is found where it is, whoever reads there.
  const std::string text = MakeLarge(2, 0).text;
  for (const size_t share : {1, 3, 5, 7}) {
    const size_t bracket = text.find("],[", text.size() / 8 * share);
    const auto refusal = [&](const std::string& instead) {
      std::string other = text;
      other.replace(bracket, 3, instead);
      return Refusal([&] { ScanFloatArray(other, 0, "f"); });
    };
    const std::string place = fmt::format("(byte {} of the body)", bracket + 2);
    EXPECT_THAT(refusal("],x"), HasSubstr(place));
    EXPECT_THAT(refusal("],7,["), HasSubstr("mixes numbers and arrays " + place));
    EXPECT_THAT(refusal("],[[1],"), HasSubstr("mixes numbers and arrays"));
    EXPECT_THAT(refusal(",,"), HasSubstr(fmt::format("(byte {} of the body)", bracket + 1)));
  }
  EXPECT_THAT(Refusal([&] { ScanFloatArray(text.substr(0, text.size() - 1), 0, "f"); }), HasSubstr("ends inside"));
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
