// The hand-written scanners on the cases where their alternatives meet; whole corpora are the slow test's.
#include "text/split_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace nla {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kQwen =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::vector<std::string_view> Words(std::string_view expression, std::string_view text) {
  std::vector<std::string_view> words;
  FindWordCutter(expression)(text, words);
  return words;
}

TEST(SplitPatternTest, OnlyKnownExpressionsAreFound) {
  EXPECT_NE(FindWordCutter(kQwen), nullptr);
  EXPECT_NE(FindWordCutter(kLlama3), nullptr);
  EXPECT_EQ(FindWordCutter(""), nullptr);
  EXPECT_EQ(FindWordCutter(std::string(kQwen) + " "), nullptr);
}

TEST(SplitPatternTest, Contractions) {
  EXPECT_THAT(Words(kQwen, "it's IT'S we'LL y'all"), ElementsAre("it", "'s", " IT", "'S", " we", "'LL", " y", "'all"));
  EXPECT_THAT(Words(kQwen, "'\u017Fx"), ElementsAre("'\u017F", "x"));  // the long s folds to s
  EXPECT_THAT(Words(kQwen, "'re've'r'l"), ElementsAre("'re", "'ve", "'r", "'l"));
  EXPECT_THAT(Words(kQwen, "' '"), ElementsAre("'", " '"));
}

TEST(SplitPatternTest, OneCharacterMayPrecedeLetters) {
  EXPECT_THAT(Words(kQwen, "(a -b\tc"), ElementsAre("(a", " -", "b", "\tc"));
  EXPECT_THAT(Words(kQwen, "\u00A0a\u3000b"), ElementsAre("\u00A0a", "\u3000b"));
  EXPECT_THAT(Words(kQwen, "\na"), ElementsAre("\n", "a"));
  EXPECT_THAT(Words(kQwen, "e\u0301x"), ElementsAre("e", "\u0301x"));  // a mark is no letter
}

TEST(SplitPatternTest, Digits) {
  EXPECT_THAT(Words(kQwen, "a12 3"), ElementsAre("a", "1", "2", " ", "3"));
  EXPECT_THAT(Words(kLlama3, "1234567"), ElementsAre("123", "456", "7"));
  EXPECT_THAT(Words(kLlama3, "12\u0663\u0664 5"), ElementsAre("12\u0663", "\u0664", " ", "5"));
}

TEST(SplitPatternTest, PunctuationTakesLineBreaks) {
  EXPECT_THAT(Words(kQwen, " ...\r\n\n x"), ElementsAre(" ...\r\n\n", " x"));
  EXPECT_THAT(Words(kQwen, "  !"), ElementsAre(" ", " !"));
  EXPECT_THAT(Words(kQwen, "\t!"), ElementsAre("\t", "!"));
}

TEST(SplitPatternTest, WhiteSpace) {
  EXPECT_THAT(Words(kQwen, "a  b"), ElementsAre("a", " ", " b"));
  EXPECT_THAT(Words(kQwen, "a  7"), ElementsAre("a", " ", " ", "7"));
  EXPECT_THAT(Words(kQwen, " \n \n  b"), ElementsAre(" \n \n", " ", " b"));
  EXPECT_THAT(Words(kQwen, "a \r \t"), ElementsAre("a", " \r", " \t"));
  EXPECT_THAT(Words(kQwen, "   "), ElementsAre("   "));
  EXPECT_THAT(Words(kQwen, ""), ElementsAre());
}

}  // namespace
}  // namespace nla
