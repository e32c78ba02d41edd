// JSON numbers to fp32, correctly rounded, at the speed that bodies of half a million numbers need; and whole arrays of
// them. Other JSON is request_body.h's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nla::serve {

struct ScannedFloat {
  enum class Fault : uint8_t { kNone, kNotANumber, kOutOfRange };
  float value = 0;
  Fault fault = Fault::kNone;
  const char* end = nullptr;  // behind the number
};

// Reads the JSON number at `begin`. The result is what strtof gives (round to nearest, ties to even); one that rounds
// to an infinity is out of range.
ScannedFloat ScanFloat(const char* begin, const char* end);

// An array of numbers, or of arrays of numbers, … all of one depth; arrays of a level may differ in length.
struct NestedFloats {
  int depth = 0;                                   // brackets around a number; 0: nothing was given
  std::vector<float> values;                       // in the order of the text
  std::vector<std::vector<int64_t>> lengths = {};  // [level][i]: elements of array i of that level, outermost first

  bool given() const { return depth > 0; }
};

struct ScannedArray {
  NestedFloats floats;
  size_t end = 0;  // of the array in the text
};

inline constexpr int kMostDepth = 3;

// Reads the array that begins at text[begin]. `field` names it in errors, which give the place in the text.
ScannedArray ScanFloatArray(std::string_view text, size_t begin, const std::string& field);

}  // namespace nla::serve
