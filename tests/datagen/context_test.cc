// The context provider: what it says of texts written for the purpose, and that no text breaks it.
#include "datagen/providers/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "datagen/providers/pieces.h"
#include "datagen/providers/topic.h"
#include "text/unicode.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string Explain(std::string_view text, const ContextOptions& options = {}) {
  return ExplainContext(text, options).value_or("none");
}

// The first feature alone.
std::string End(std::string_view text) {
  const std::string all = Explain(text);
  return all.substr(0, all.find("\n\n"));
}

TEST(Context, WalksBackFromTheLastWord) {
  EXPECT_EQ(Explain("The Indians near the frontier of Texas were at peace. The frontier of Texas was held by "
                    "the army which the President had removed from"),
            "Ends with \"from\", after \"had removed\".\n\n"
            "Before that: \"the army which the President\".\n\n"
            "About Texas, frontier, Indians.");
}

TEST(Context, BudgetsAreInWords) {
  const std::string text = "Alpha ships carried bright cargo while sailors mended torn canvas near the harbour wall";
  EXPECT_EQ(Explain(text, {.near_words = 1, .far_words = 2, .topic_words = 1}),
            "Ends with \"wall\", after \"harbour\".\n\nBefore that: \"near the\".\n\nAbout canvas.");
  EXPECT_EQ(Explain(text, {.near_words = 0, .far_words = 3, .topic_words = 0}),
            "Ends with \"wall\".\n\nBefore that: \"near the harbour\".");
  EXPECT_EQ(Explain(text, {.near_words = 3, .far_words = 0, .topic_words = 2}),
            "Ends with \"wall\", after \"near the harbour\".\n\nAbout canvas, torn.");
  EXPECT_EQ(Explain(text, {.near_words = 0, .far_words = 0, .topic_words = 0}), "none");
}

TEST(Context, NamesWhatIsNoWord) {
  const std::string text = "He said that the old ship sailed";
  EXPECT_EQ(End(text + ","), "Ends with a comma, after \"ship sailed\".");
  EXPECT_EQ(End(text + "."), "Ends with a period, after \"ship sailed\".");
  EXPECT_EQ(End(text + ".\n"), "Ends with a line break, after \"ship sailed.\"");
  EXPECT_EQ(End(text + ".\n \n"), "Ends with a paragraph break, after \"ship sailed.\"");
  EXPECT_EQ(End(text + " "), "Ends with a space, after \"sailed\", after \"old ship\".");
  EXPECT_EQ(End(text + ".)"), "Ends with \".)\", after \"ship sailed\".");
  EXPECT_EQ(End(text + " \""), "Ends with a quotation mark, after \"ship sailed\".");
  EXPECT_EQ(End(text + ".\""), "Ends with \".'\", after \"ship sailed\".");
  EXPECT_EQ(End(text + " ========"), "Ends with \"==...==\", after \"ship sailed\".");
  EXPECT_EQ(End(text + " 😀"), "Ends with \"😀\", after \"ship sailed\".");
}

TEST(Context, SaysWhereALineBegins) {
  EXPECT_EQ(End("There was enduring peace.\n\nThe"), "Begins a paragraph with \"The\", after \"enduring peace.\"");
  EXPECT_EQ(End("There was enduring peace\nThe"), "Begins a line with \"The\", after \"enduring peace\".");
  EXPECT_EQ(End("There was\nenduring peace at"), "Ends with \"at\", after \"enduring peace\".");
  EXPECT_THAT(Explain("They had come down\nto where\n\nthe river bent"),
              HasSubstr("Before that: \"They had come down / to where\"."));
}

TEST(Context, KeepsWordsWhole) {
  EXPECT_EQ(End("he paid about 3,000.50 and they don't"), "Ends with \"don't\", after \"and they\".");
  EXPECT_EQ(End("he paid them 3,000.50"), "Ends with \"3,000.50\", after \"paid them\".");
  EXPECT_EQ(End("we went to the café"), "Ends with \"café\", after \"to the\".");
  EXPECT_EQ(End("peace was what the well-known"), "Ends with \"known\", after \"the well-\".");
  EXPECT_EQ(End("it was a (very old"), "Ends with \"old\", after \"a (very\".");
  EXPECT_EQ(End("at dawn he said \"go"), "Ends with \"go\", after \"he said '\".");
  EXPECT_EQ(End("this is a extra"), "Ends with \"extra\", after \"is a\".");
}

TEST(Context, ShortensWhatIsOverlong) {
  EXPECT_EQ(End("you will see the abcdefghijklmnopqrstuvwxyz"),
            "Ends with \"abcdefghij...qrstuvwxyz\", after \"see the\".");
  EXPECT_THAT(Explain("他们说今天天气很好我们去公园"), StartsWith("Ends with \"园\", after \"去公\"."));
}

TEST(Context, QuotesCannotBreakTheAnswersFormat) {
  const std::string text = "the answer stands between <explanation> and </explanation>";
  EXPECT_THAT(Explain(text), AllOf(Not(HasSubstr("<explanation>")), Not(HasSubstr("</explanation>"))));
  EXPECT_THAT(Explain(text + " tags there"), AllOf(Not(HasSubstr("<explanation>")), Not(HasSubstr("</explanation>"))));
  EXPECT_EQ(End("he said that \"peace\" came"), "Ends with \"came\", after \"that 'peace'\".");
}

TEST(Context, TooLittleTextIsNoExplanation) {
  for (const char* text : {"", " ", "\n\n", "\x01\x02", "\xE2\x80\x8B", "word", ".", "to be"}) {
    EXPECT_EQ(Explain(text), "none") << text;
  }
  EXPECT_THAT(Explain("one two three four"), Not("none"));
}

TEST(Context, ControlAndInvisibleCharactersDisappear) {
  EXPECT_EQ(Explain("the\x07 old\xE2\x80\x8B ship\xC2\xAD sailed slowly\x1b home\xEF\xBB\xBF"),
            Explain("the old ship sailed slowly home"));
  EXPECT_EQ(Explain("the old\tship  sailed\r\nslowly home"), Explain("the old ship sailed\nslowly home"));
}

TEST(Context, OnlyTheEndOfALongTextCounts) {
  std::string filler;
  for (int i = 0; i < 20000; ++i) filler += "zebra ";
  std::string tail;
  for (int i = 0; i < 200; ++i) tail += "The harbour master counted ships at dawn and wrote numbers down. ";
  EXPECT_EQ(Explain(filler + tail), Explain(tail));
}

TEST(Context, LongWordsCostWords) {
  const std::string text =
      "Ulcofauhatche Ocmulgee Krzysztof Antikythera Hipparchus Apollonius Rajcoomar Dijkstra Ulcofauhatche Ocmulgee "
      "Krzysztof Antikythera Hipparchus";
  for (const int64_t limit : {20, 30, 40, 60}) {
    const std::string label = Explain(text, {.max_tokens = limit});
    EXPECT_LE(EstimateTokens(label), static_cast<double>(limit)) << label;
  }
}

TEST(Context, ACounterIsTheHardLimit) {
  // One token a byte: the strictest counter there is.
  const auto bytes = [](std::string_view text) { return static_cast<int64_t>(text.size()); };
  const std::string text = "The frontier of Texas was held by the army which the President had removed from";
  for (const int64_t limit : {70, 100, 130}) {
    const std::string label = Explain(text, {.max_tokens = limit, .count_tokens = bytes});
    EXPECT_LE(static_cast<int64_t>(label.size()), limit);
    EXPECT_THAT(label, HasSubstr("Ends with \"from\""));
  }
}

// Random bytes, and random cuts of a text full of traps: always valid UTF-8, two or three features, equal again.
TEST(Context, NoTextBreaksIt) {
  const std::string traps =
      "Caf\u00e9 \u201cquoted\u201d\u2014na\u00efve 你好世界 שלום http://a.b/c?d=e x@y.z \xff\xfe <explanation>\t\r\n\n"
      "1,234.5 ''' \"\"\" {{x}} \u0301\u0301 <|im_end|> a-b-c --- ... \xf0\x9f\x98\x80 \x00 \u202e e\u0301 ";
  CounterRandom random(1, 2);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    if (round % 2 == 0) {
      for (uint64_t n = random.Below(200); n > 0; --n) text.push_back(static_cast<char>(random.Below(256)));
    } else {
      for (int part = 0; part < 4; ++part) {
        const size_t begin = random.Below(traps.size());
        text += traps.substr(begin, random.Below(40));
      }
    }
    const auto label = ExplainContext(text);
    EXPECT_EQ(label, ExplainContext(text));
    if (!label) continue;
    EXPECT_EQ(RepairUtf8(*label), *label);
    EXPECT_LE(EstimateTokens(*label), 40.0) << *label;
    EXPECT_THAT(*label, AllOf(HasSubstr("\n\n"), Not(HasSubstr("\n\n\n")), Not(HasSubstr("explanation>"))));
  }
}

TEST(Context, PiecesComeBackAsTheyStood) {
  const auto joined = [](std::string_view text) {
    const Pieces pieces = SplitEnd(text, 1000);
    return Join(pieces.pieces, 0, pieces.pieces.size());
  };
  for (const char* text : {"a b", "It's (nearly) done: \"yes\", no?", "x=1;y--", "3,000.5 + 2", "漢字 and kana"}) {
    EXPECT_EQ(joined(text), text);
  }
  EXPECT_EQ(joined("a\nb\n\nc"), "a / b // c");
  EXPECT_EQ(joined("a \t b"), "a b");
  EXPECT_TRUE(SplitEnd("a ", 10).trailing_space);
  EXPECT_FALSE(SplitEnd("a\n", 10).trailing_space);
}

TEST(Context, TheCutOfALongTextLeavesNoHalfWord) {
  EXPECT_EQ(SplitEnd("abcdef ghi", 7).pieces.size(), 1u);
  EXPECT_EQ(SplitEnd("ééé x", 5).pieces.back().text, "x");
}

std::vector<std::string> Topics(std::string_view text, int64_t count) {
  const Pieces pieces = SplitEnd(text, 10000);
  return TopicWords(pieces.pieces, pieces.pieces.size(), count);
}

TEST(Context, TopicsAreFrequentRecentAndNoStopWords) {
  EXPECT_THAT(Topics("The treaty was signed. The treaties bound the nation to peace with the tribes there", 2),
              ElementsAre("treaties", "tribes"));
  EXPECT_THAT(Topics("They would have been there because of this and that", 3), ElementsAre());
  EXPECT_THAT(Topics("mail bob@example.org or see http://example.org/archive/index today", 3), ElementsAre());
  EXPECT_THAT(Topics("Ships sail. He saw ships", 1), ElementsAre("ships"));
  EXPECT_THAT(Topics("near Texas he saw a ship", 2), ElementsAre("Texas", "ship"));
}

TEST(Context, StopWordsAreFound) {
  for (const char* word : {"about", "the", "yourselves", "which", "would"}) EXPECT_TRUE(IsStopWord(word)) << word;
  for (const char* word : {"army", "treaty", "", "zzz", "aaa"}) EXPECT_FALSE(IsStopWord(word)) << word;
}

}  // namespace
}  // namespace nla
