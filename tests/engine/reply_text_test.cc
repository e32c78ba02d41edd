// Text as it comes: characters in pieces, and stop strings and matches that are never shown in part.
#include "engine/reply_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nla {
namespace {

using ::testing::ElementsAre;

class ReplyTextTest : public ::testing::Test {
 protected:
  // Bytes as one token each.
  std::vector<std::string> Shown(const std::string& bytes, ReplyTextOptions options) {
    ReplyText text(tokenizer_, std::move(options));
    std::vector<std::string> shown;
    for (const char byte : bytes) {
      if (text.stopped()) break;
      shown.push_back(text.Push(ByteToken(byte)));
    }
    shown.push_back(text.Flush());
    stopped_ = text.stopped();
    return shown;
  }
  std::string All(const std::string& bytes, ReplyTextOptions options) {
    std::string all;
    for (const std::string& part : Shown(bytes, std::move(options))) all += part;
    return all;
  }
  TokenId ByteToken(char byte) const {
    for (TokenId id = 0; id < tokenizer_.vocab_size(); ++id) {
      if (tokenizer_.IsValid(id) && !tokenizer_.IsSpecial(id) && tokenizer_.TokenBytes(id) == std::string(1, byte))
        return id;
    }
    ADD_FAILURE() << "no token for a byte";
    return 0;
  }

  ReplyTextOptions Patterns(const std::vector<std::string>& patterns) const {
    ReplyTextOptions options;
    for (const std::string& one : patterns) {
      options.patterns.push_back(std::make_shared<const StopPattern>(one, "stop_regex"));
    }
    return options;
  }

  Tokenizer tokenizer_ = Tokenizer::Load(NLA_SOURCE_DIR "/tests/model/golden/tiny_tokenizer");
  std::optional<std::string> stopped_;
};

TEST_F(ReplyTextTest, CharactersAreShownWhole) {
  EXPECT_THAT(Shown("a\xC3\xA9z", {}), ElementsAre("a", "", "\xC3\xA9", "z", ""));
  EXPECT_EQ(All("a\xC3", {}), "a\xEF\xBF\xBD");
}

TEST_F(ReplyTextTest, AStopStringIsNotShown) {
  EXPECT_THAT(Shown("one END two", {.stop = {"END"}}), ElementsAre("o", "n", "e", " ", "", "", "", ""));
  EXPECT_EQ(stopped_, "END");
  EXPECT_EQ(All("one END two", {.stop = {"END"}, .trim_stop = false}), "one END");
}

TEST_F(ReplyTextTest, TextThatOnlyBeginsOneIsShownLate) {
  EXPECT_THAT(Shown("aENbEN", {.stop = {"END"}}), ElementsAre("a", "", "", "ENb", "", "", "EN"));
  EXPECT_FALSE(stopped_);
  EXPECT_EQ(All("EENEEND!", {.stop = {"END"}}), "EENE");
}

TEST_F(ReplyTextTest, TheFirstStopStringCounts) {
  EXPECT_EQ(All("x ab abc", {.stop = {"abc", "b "}}), "x a");
  EXPECT_EQ(stopped_, "b ");
  EXPECT_EQ(All("q", {.stop = {"q"}}), "");
  EXPECT_EQ(stopped_, "q");
}

TEST_F(ReplyTextTest, APatternThatMatchesIsNotShown) {
  EXPECT_THAT(Shown("one END42 two", Patterns({"E[A-Z]+[0-9]"})), ElementsAre("o", "n", "e", " ", "", "", "", "", ""));
  EXPECT_EQ(stopped_, "E[A-Z]+[0-9]");
  ReplyTextOptions kept = Patterns({"E[A-Z]+[0-9]"});
  kept.trim_stop = false;
  EXPECT_EQ(All("one END42 two", kept), "one END4");
  EXPECT_THAT(Shown("aENb.", Patterns({"END|EN\\."})), ElementsAre("a", "", "", "ENb", ".", ""));
  EXPECT_FALSE(stopped_);
  EXPECT_EQ(All("xEN", Patterns({"END"})), "xEN");
}

TEST_F(ReplyTextTest, PatternsMatchAsSoonAsTheyCan) {
  EXPECT_EQ(All("baaa", Patterns({"a+"})), "b");
  EXPECT_EQ(All("foo", Patterns({"o$"})), "f");
  EXPECT_EQ(All("a1b2", Patterns({"(?<=b)2"})), "a1b");
  EXPECT_EQ(All("ab", Patterns({"^b"})), "ab");
  EXPECT_EQ(All("a\nbc", Patterns({"(?m)^b"})), "a\n");
  EXPECT_EQ(All("x\xC3\xA9z", Patterns({"\\w\\w\\w"})), "");
  EXPECT_EQ(stopped_, "\\w\\w\\w");
  EXPECT_EQ(All("keepXY", Patterns({"keep\\KX"})), "keep");
}

TEST_F(ReplyTextTest, StringsAndPatternsStopTogether) {
  ReplyTextOptions options = Patterns({"c.", "b"});
  options.stop = {"cd"};
  EXPECT_EQ(All("acd", options), "a");
  EXPECT_EQ(stopped_, "cd");
  EXPECT_EQ(All("acx", options), "a");
  EXPECT_EQ(stopped_, "c.");
  EXPECT_EQ(All("ab", options), "a");
  EXPECT_EQ(stopped_, "b");
}

TEST_F(ReplyTextTest, NotMoreIsHeldThanAMatchMayBeLong) {
  const std::string filler(3 * kLongestStopMatch, 'x');
  ReplyText text(tokenizer_, Patterns({"(?s)<.*>"}));
  std::string shown;
  const auto push = [&](const std::string& bytes) {
    for (const char byte : bytes) {
      if (!text.stopped() && !text.too_hard()) shown += text.Push(ByteToken(byte));
    }
  };
  // Tokens are looked up by a walk over the vocabulary, so few are pushed at once.
  push("<");
  const TokenId x = ByteToken('x');
  for (size_t i = 0; i < filler.size(); ++i) shown += text.Push(x);
  EXPECT_FALSE(text.too_hard());
  EXPECT_EQ(shown, "<" + filler);
  push(">");
  EXPECT_FALSE(text.stopped());
  push("<y>");
  EXPECT_TRUE(text.stopped());
  EXPECT_EQ(shown, "<" + filler + ">");
}

TEST_F(ReplyTextTest, APatternThatExplodesIsGivenUp) {
  for (const char* pattern : {"(a+)+b", "(a|a)*b", "(?s).*.*.*.*.*.*b", "(a?){30}a{30}b", "(?:(?=(a+))a)+b"}) {
    ReplyText text(tokenizer_, Patterns({pattern}));
    const TokenId a = ByteToken('a');
    for (int i = 0; i < 3000 && !text.too_hard(); ++i) text.Push(a);
    EXPECT_TRUE(text.too_hard()) << pattern;
  }
}

}  // namespace
}  // namespace nla
