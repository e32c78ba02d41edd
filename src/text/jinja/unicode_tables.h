// Tables behind character.h, generated from Python.
#pragma once

#include <cstdint>
#include <vector>

namespace nla::jinja {

enum PyCharFlag : uint16_t {
  kPyAlpha = 1,
  kPyDecimal = 2,
  kPyDigit = 4,
  kPyNumeric = 8,
  kPyPrintable = 16,
  kPyUpper = 32,
  kPyLower = 64,
  kPySpace = 128,
  kPyCased = 256,
  kPyCaseIgnorable = 512,
};

// Code points first..last have these flags; ranges ascend.
struct PyCharRange {
  uint32_t first;
  uint32_t last;
  uint16_t flags;
};
// Every stride-th code point of first..last maps to itself + delta; ranges ascend by `first`.
struct CaseRange {
  uint32_t first;
  uint32_t last;
  uint32_t stride;
  int32_t delta;
};
// A code point that maps to two or three (0 fills up).
struct CaseSpecial {
  uint32_t code_point;
  char32_t mapped[3];
};

const std::vector<PyCharRange>& PyCharRanges();
const std::vector<CaseRange>& UpperRanges();
const std::vector<CaseSpecial>& UpperSpecials();
const std::vector<CaseRange>& LowerRanges();
const std::vector<CaseSpecial>& LowerSpecials();
const std::vector<CaseRange>& TitleRanges();
const std::vector<CaseSpecial>& TitleSpecials();

}  // namespace nla::jinja
