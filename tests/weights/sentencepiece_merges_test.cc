// Merges out of scores. That Gemma's come out as published is tested with the model itself, in weights_slow_test.cc.
#include "weights/sentencepiece_merges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nla {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(SentencePieceMerges, EverySplitOfEveryTokenInTheOrderOfScores) {
  const std::vector<std::string> tokens = {"a", "b", "ab", "abab", "ba", "aba"};
  const std::vector<float> scores = {0, 0, -1, -3, -2, -2.5};
  EXPECT_THAT(RebuildMerges(tokens, scores), ElementsAre(Pair("a", "b"), Pair("b", "a"), Pair("ab", "a"),
                                                         Pair("a", "ba"), Pair("aba", "b"), Pair("ab", "ab")));
}

TEST(SentencePieceMerges, EqualScoresGoByLengthInCharacters) {
  // "éé" + "é" has the longer left part in characters; "bb" + "b" ties with it and comes later by its id.
  const std::vector<std::string> tokens = {"é", "éé", "ééé", "b", "bb", "bbb"};
  const std::vector<float> scores(6, 0.0f);
  EXPECT_THAT(RebuildMerges(tokens, scores), ElementsAre(Pair("éé", "é"), Pair("bb", "b"), Pair("é", "éé"),
                                                         Pair("b", "bb"), Pair("é", "é"), Pair("b", "b")));
}

TEST(SentencePieceMerges, ACharacterIsNeverCut) {
  const std::vector<std::string> tokens = {"é", "x"};
  EXPECT_THAT(RebuildMerges(tokens, std::vector<float>(2, 0.0f)), IsEmpty());
}

}  // namespace
}  // namespace nla
