// Truncation and paraphrase of explanations.
#include "nla/rewording.h"

#include <gtest/gtest.h>

namespace nla {
namespace {

TEST(FirstWords, EndsWithAWord) {
  EXPECT_EQ(FirstWords("one two three four", 0.75), "one two three");
  EXPECT_EQ(FirstWords("one two\n\nthree four five", 0.75), "one two\n\nthree four");
  EXPECT_EQ(FirstWords("one", 0.75), "one");
  EXPECT_EQ(FirstWords("", 0.75), "");
}

TEST(Reword, KeepsOrderCapitalsPunctuationAndLines) {
  const Paraphrase paraphrase =
      Reword("Ends with \"story\", after \"the small house\".\nBEFORE that: \"I've asked\".\nAbout stories.");
  EXPECT_EQ(paraphrase.text,
            "Finishes with \"tale\", following \"the little home\".\nPRECEDING that: \"I've inquired\".\n"
            "Concerning tales.");
  EXPECT_EQ(paraphrase.words, 14);
  EXPECT_EQ(paraphrase.reworded, 9);
}

TEST(Reword, LeavesWhatItDoesNotKnow) {
  for (const std::string text : {"", "Paris, 1990: zebra", "bIg aftermath", "größer \xff naïve"}) {
    const Paraphrase paraphrase = Reword(text);
    EXPECT_EQ(paraphrase.text, text);
    EXPECT_EQ(paraphrase.reworded, 0);
  }
}

TEST(Reword, TwiceGivesTheTextAgain) {
  const std::string text =
      "Ends with a period, after \"the Problem\". Before that: \"many people need help\". ABOUT work.";
  const std::string once = Reword(text).text;
  EXPECT_NE(once, text);
  EXPECT_EQ(Reword(once).text, text);
}

}  // namespace
}  // namespace nla
