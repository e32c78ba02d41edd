// Text as it comes: characters in pieces, and stop strings that are never shown in part.
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

}  // namespace
}  // namespace nla
