// Shared prefixes, packed rows and micro-batches on ids.
#include "train/packing.h"

#include <gtest/gtest.h>

#include <set>

namespace nla {
namespace {

using Ids = std::vector<TokenId>;

std::vector<IdSequence> Views(const std::vector<Ids>& all) { return {all.begin(), all.end()}; }

TEST(SharedPrefix, IsCommonLimitedAndLeavesARow) {
  EXPECT_EQ(SharedPrefix(Views({{1, 2, 3, 4}, {1, 2, 9, 4}}), 100), 2);
  EXPECT_EQ(SharedPrefix(Views({{1, 2, 3, 4}, {1, 2, 3, 4}}), 100), 3);
  EXPECT_EQ(SharedPrefix(Views({{1, 2, 3, 4}, {1, 2}}), 100), 1);
  EXPECT_EQ(SharedPrefix(Views({{1, 2, 3, 4}, {1, 2, 3, 5}}), 2), 2);
  EXPECT_EQ(SharedPrefix(Views({{1, 2}, {2, 2}}), 100), 0);
  EXPECT_EQ(SharedPrefix(Views({{7}}), 100), 0);
}

TEST(PackSequences, EveryTokenIsFoundAtItsRow) {
  const std::vector<Ids> all = {{1, 2, 3, 4, 5}, {1, 2, 6}, {1, 2, 7, 8}};
  for (const int64_t prefix : {0, 1, 2}) {
    const PackedIds packed = PackSequences(Views(all), prefix);
    EXPECT_EQ(packed.batch.rows(), static_cast<int64_t>(packed.ids.size()));
    EXPECT_EQ(packed.batch.starts(), packed.starts);
    for (size_t i = 0; i < all.size(); ++i) {
      for (size_t t = 0; t < all[i].size(); ++t) {
        EXPECT_EQ(packed.ids[static_cast<size_t>(packed.RowOf(i, static_cast<int64_t>(t)))], all[i][t]);
      }
    }
  }
}

TEST(MicroBatches, HoldEverySequenceOnceWithinTheLimit) {
  std::vector<Ids> all;
  for (const size_t length : {9, 3, 30, 4, 4, 12, 5}) all.emplace_back(length, 1);
  const int64_t prefix = 2;
  const int64_t limit = 20;
  std::set<size_t> seen;
  size_t longest_before = 0;
  for (const auto& group : MicroBatches(Views(all), prefix, limit)) {
    int64_t rows = prefix;
    for (const size_t index : group) {
      EXPECT_TRUE(seen.insert(index).second);
      rows += static_cast<int64_t>(all[index].size()) - prefix;
      EXPECT_GE(all[index].size(), longest_before);
      longest_before = all[index].size();
    }
    EXPECT_TRUE(rows <= limit || group.size() == 1) << rows;
  }
  EXPECT_EQ(seen.size(), all.size());
  EXPECT_EQ(MicroBatches(Views(all), prefix, 1000).size(), 1U);
}

}  // namespace
}  // namespace nla
