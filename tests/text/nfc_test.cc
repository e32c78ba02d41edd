// Canonical composition at its edges, and the counts of characters behind offsets.
#include "text/nfc.h"

#include <gtest/gtest.h>

#include <string>

#include "text/unicode.h"

namespace nla {
namespace {

std::string Nfc(std::string_view text) {
  std::string out;
  for (const NfcChar& c : ComposeNfc(text)) AppendUtf8(c.code_point, out);
  return out;
}

TEST(NfcTest, ComposesAndOrders) {
  EXPECT_EQ(Nfc("plain"), "plain");
  EXPECT_EQ(Nfc("e\u0301"), "\u00E9");
  EXPECT_EQ(Nfc("\u212B"), "\u00C5");               // the ångström sign is a letter
  EXPECT_EQ(Nfc("a\u0301\u0323"), "\u1EA1\u0301");  // the dot below comes first, and composes
  EXPECT_EQ(Nfc("a\u0315\u0300\u05AE\u0062"), "\u00E0\u05AE\u0315b");
  EXPECT_EQ(Nfc("\u0301a"), "\u0301a");
  EXPECT_EQ(Nfc("\u0344"), "\u0308\u0301");  // does not come back
  EXPECT_EQ(Nfc("\u0958"), "\u0915\u093C");  // excluded from composition
  EXPECT_EQ(Nfc("e\u0334\u0301"), "\u00E9\u0334");
  EXPECT_EQ(Nfc("a\u0300\u0300"), "\u00E0\u0300");
}

TEST(NfcTest, HangulFollowsFromArithmetic) {
  EXPECT_EQ(Nfc("\u1100\u1161\u11A8"), "\uAC01");
  EXPECT_EQ(Nfc("\uAC00\u11A8"), "\uAC01");
  EXPECT_EQ(Nfc("\uAC00\u11A7"), "\uAC00\u11A7");
  EXPECT_EQ(Nfc("\uAC01\u11A8"), "\uAC01\u11A8");
  EXPECT_EQ(Nfc("\uD7A3"), "\uD7A3");
}

// What is plainly NFC is its own composition, and the sum of changes is the change of length.
TEST(NfcTest, CountsAndShortCutHoldForEveryCharacter) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text = "a";
    AppendUtf8(c, text);
    text += "b";
    const std::vector<NfcChar> composed = ComposeNfc(text);
    if (IsPlainlyNfc(text)) {
      ASSERT_EQ(Nfc(text), text) << c;
    }
    int32_t taken = 0;
    for (const NfcChar& made : composed) taken += made.change > 0 ? 0 : 1 - made.change;
    ASSERT_EQ(taken, 3) << c;
  }
}

TEST(NfcTest, TablesAscend) {
  uint32_t next = 0;
  for (const NfcDecomposition& row : NfcDecompositions()) {
    ASSERT_GE(row.code_point, next);
    next = row.code_point + 1;
  }
  next = 0;
  for (const CombiningRange& range : CombiningRanges()) {
    ASSERT_GE(range.first, next);
    ASSERT_GE(range.last, range.first);
    ASSERT_GT(range.combining_class, 0);
    next = range.last + 1;
  }
}

}  // namespace
}  // namespace nla
