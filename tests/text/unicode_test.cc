// UTF-8 repair and character classes at their edges; the classes as a whole are held to the library by the slow test.
#include "text/unicode.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nla {
namespace {

TEST(Utf8Test, EveryCodePointSurvives) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    AppendUtf8(c, text);
    ASSERT_EQ(ValidUtf8Prefix(text), text.size()) << c;
    const DecodedChar decoded = DecodeChar(text);
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(static_cast<size_t>(decoded.length), text.size());
    ASSERT_EQ(LastCharOffset("a" + text), 1u);
  }
}

TEST(Utf8Test, TheLastBytesBeginWithACharacter) {
  const std::string text = "aé€😀b";  // 1, 2, 3, 4 and 1 bytes
  const std::vector<size_t> wanted = {11, 10, 10, 10, 10, 6, 6, 6, 3, 3, 1, 0, 0};
  for (size_t count = 0; count < wanted.size(); ++count)
    EXPECT_EQ(LastBytesOffset(text, count), wanted[count]) << count;
}

// Wanted: Python's bytes.decode("utf-8", "replace").
TEST(Utf8Test, EachMaximalSubpartIsReplacedOnce) {
  const std::string r = "\uFFFD";
  EXPECT_EQ(RepairUtf8("plain"), "plain");
  EXPECT_EQ(RepairUtf8(""), "");
  EXPECT_EQ(RepairUtf8("\xE2\x82"), r);
  EXPECT_EQ(RepairUtf8("\xE2\x82x"), r + "x");
  EXPECT_EQ(RepairUtf8("\xC0\xAF"), r + r);
  EXPECT_EQ(RepairUtf8("\xE0\x80\xAF"), r + r + r);
  EXPECT_EQ(RepairUtf8("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(RepairUtf8("\xF4\x90\x80\x80"), r + r + r + r);
  EXPECT_EQ(RepairUtf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a" + r + r + r + "b" + r + "c" + r + r + "d");
  EXPECT_EQ(RepairUtf8("12345678\xF0\x9F\x98\x80\xF0\x9F\x98"), "12345678😀" + r);
}

TEST(Utf8Test, TellsCutFromBroken) {
  bool may_continue = false;
  EXPECT_EQ(IllFormedLength("\xF0\x9F\x98", &may_continue), 3u);
  EXPECT_TRUE(may_continue);
  EXPECT_EQ(IllFormedLength("\xF0\x9F x", &may_continue), 2u);
  EXPECT_FALSE(may_continue);
  EXPECT_EQ(IllFormedLength("\x80", &may_continue), 1u);
  EXPECT_FALSE(may_continue);
  EXPECT_EQ(IllFormedLength("\xED", &may_continue), 1u);
  EXPECT_TRUE(may_continue);
}

TEST(CharClassTest, KnowsTheEdges) {
  EXPECT_EQ(CharClass('a'), kLetter | kWord);
  EXPECT_EQ(CharClass('7'), kNumber | kDigit | kWord);
  EXPECT_EQ(CharClass('_'), kWord);
  EXPECT_EQ(CharClass('!'), 0);
  EXPECT_EQ(CharClass(0x1C), 0);  // a space to Python, not to the library
  EXPECT_EQ(CharClass(0x85), kSpace | kStripped);
  EXPECT_EQ(CharClass(0xBD), kNumber | kDigit);     // one half
  EXPECT_EQ(CharClass(0x0301), kWord);              // combining acute
  EXPECT_EQ(CharClass(0x1C89) & kLetter, kLetter);  // a letter since Unicode 16
  EXPECT_EQ(CharClass(0x10FFFF), 0);
  for (uint32_t c = 0; c < 128; ++c) EXPECT_EQ(AsciiClasses()[c], CharClass(c));
}

TEST(CharClassTest, RangesAscend) {
  uint32_t next = 0;
  for (const CharRange& range : CharRanges()) {
    ASSERT_GE(range.first, next);
    ASSERT_GE(range.last, range.first);
    ASSERT_LT(range.last, 0x110000u);
    next = range.last + 1;
  }
}

}  // namespace
}  // namespace nla
