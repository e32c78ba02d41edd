// Pages: who owns them, what is shared, what is given up for room, and that none is ever lost.
#include "engine/sequences.h"

#include <gtest/gtest.h>

#include "engine/engine_testing.h"

namespace nla {
namespace {

using testing::TinyModel;

class SequencesTest : public ::testing::Test {
 protected:
  static std::vector<RowKey> Keys(int64_t count, uint64_t tail = 0, int64_t tail_from = 1000) {
    std::vector<RowKey> keys;
    for (int64_t i = 0; i < count; ++i) keys.push_back({static_cast<uint64_t>(i), i >= tail_from ? tail : 0});
    return keys;
  }
  // Opens one and says that all of its rows are computed.
  std::unique_ptr<Sequence> OpenStored(std::vector<RowKey> keys, int64_t tokens) {
    auto sequence = sequences_.Open(std::move(keys), tokens);
    if (sequence != nullptr) sequence->stored = static_cast<int64_t>(sequence->keys.size());
    return sequence;
  }

  TinyModel model_ = testing::LoadTinyModel();
  Sequences sequences_{model_.decoder, 128};  // 8 pages
};

TEST_F(SequencesTest, SharesWholePagesAndCopiesTheRest) {
  auto first = OpenStored(Keys(40), 64);
  EXPECT_EQ(first->pages.size(), 4U);
  auto second = sequences_.Open(Keys(40, 7, 20), 64);
  EXPECT_EQ(second->stored, 20);
  EXPECT_EQ(second->pages[0], first->pages[0]);
  EXPECT_NE(second->pages[1], first->pages[1]);
  EXPECT_EQ(sequences_.used_tokens(), 7 * 16);
  sequences_.Close(std::move(first));
  sequences_.Close(std::move(second));
  EXPECT_EQ(sequences_.used_tokens(), 0);
}

TEST_F(SequencesTest, LeavesARowToCompute) {
  sequences_.Close(OpenStored(Keys(32), 32));
  const auto again = sequences_.Open(Keys(32), 40);
  EXPECT_EQ(again->stored, 31);
}

TEST_F(SequencesTest, SaysWhatIsPromised) {
  auto first = sequences_.Open(Keys(40), 40);
  EXPECT_EQ(sequences_.Find(Keys(30)).stored, 0);
  EXPECT_EQ(sequences_.Find(Keys(30)).promised, 29);
  first->stored = 10;
  EXPECT_EQ(sequences_.Find(Keys(30)).stored, 10);
  sequences_.Discard(std::move(first));
  EXPECT_EQ(sequences_.Find(Keys(30)).promised, 0);
}

TEST_F(SequencesTest, GivesUpTheLongestUnusedForRoom) {
  for (uint64_t i = 1; i <= 4; ++i) sequences_.Close(OpenStored(Keys(32, i, 0), 32));  // all 8 pages
  EXPECT_EQ(sequences_.Find(Keys(32, 1, 0)).stored, 31);
  sequences_.Close(sequences_.Open(Keys(32, 1, 0), 32));  // takes two pages, of the second; now the first was used last
  EXPECT_EQ(sequences_.Find(Keys(32, 1, 0)).stored, 31);
  EXPECT_EQ(sequences_.Find(Keys(32, 2, 0)).stored, 0);
  EXPECT_EQ(sequences_.Find(Keys(32, 3, 0)).stored, 31);
}

TEST_F(SequencesTest, RefusesWithoutRoomAndLosesNothing) {
  sequences_.Close(OpenStored(Keys(16, 9, 0), 16));
  auto running = OpenStored(Keys(40, 1, 0), 96);  // 6 of 8 pages
  EXPECT_EQ(sequences_.Open(Keys(40, 2, 0), 64), nullptr);
  EXPECT_EQ(sequences_.Find(Keys(16, 9, 0)).stored, 15);  // giving it up would not have been enough
  // Sharing two pages makes the difference.
  auto shares = sequences_.Open(Keys(64, 1, 0), 64);
  ASSERT_NE(shares, nullptr);
  EXPECT_EQ(shares->stored, 40);
  sequences_.Discard(std::move(shares));
  sequences_.Discard(std::move(running));
  sequences_.Forget();
  EXPECT_NE(sequences_.Open(Keys(1), 128), nullptr);  // every page is there again
}

}  // namespace
}  // namespace nla
