// Unicode's canonical composition (NFC) as the `tokenizers` library has it. Leaves the choice of normalisers to
// normalizer.h.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace nla {

// Rows of the generated tables in nfc_tables.cc. Hangul syllables are not in them: they follow from arithmetic.
struct NfcDecomposition {
  uint32_t code_point;
  std::array<uint32_t, 4> parts;  // all the way down; 0 ends a shorter one
};
struct NfcComposition {
  uint32_t first, second, composed;
};
struct CombiningRange {
  uint32_t first, last;
  uint8_t combining_class;  // not 0
};
const std::vector<NfcDecomposition>& NfcDecompositions();
const std::vector<NfcComposition>& NfcCompositions();
const std::vector<CombiningRange>& CombiningRanges();

// A character of normalised text, and how it came about, as the library counts it: `change` 0 took the place of one
// character, 1 was inserted, -n took the place of n + 1.
struct NfcChar {
  uint32_t code_point;
  int32_t change;
};

// Whether valid UTF-8 `text` is certainly in NFC already: no character of it could compose, decompose or be reordered.
bool IsPlainlyNfc(std::string_view text);
// The characters of the NFC of `text`. O(n log n) in the longest run of marks, else linear.
std::vector<NfcChar> ComposeNfc(std::string_view text);

}  // namespace nla
