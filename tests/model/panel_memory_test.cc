// What is taken is zero, aligned, apart from everything else, and outlives the object that it was taken from.
#include "model/packed/panel_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace nla::packed {
namespace {

bool IsFilledWith(const std::shared_ptr<int32_t>& numbers, int64_t count, int32_t value) {
  return std::all_of(numbers.get(), numbers.get() + count, [&](int32_t number) { return number == value; });
}

TEST(PanelMemory, WhatIsTakenIsApartAndStays) {
  // Odd counts, some larger than a piece, so that pieces end in the middle.
  const std::vector<int64_t> counts = {1, 17, 5'000'001, 3, 12'000'003, 20'000'000, 7};
  std::vector<std::shared_ptr<int32_t>> taken;
  {
    PanelMemory memory;
    for (size_t i = 0; i < counts.size(); ++i) {
      taken.push_back(memory.Take<int32_t>(counts[i]));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(taken[i].get()) % 64, 0U);
      EXPECT_TRUE(IsFilledWith(taken[i], counts[i], 0)) << i;
      std::fill_n(taken[i].get(), counts[i], static_cast<int32_t>(i + 1));
    }
  }
  for (size_t i = 0; i < counts.size(); ++i)
    EXPECT_TRUE(IsFilledWith(taken[i], counts[i], static_cast<int32_t>(i + 1)));
  // A piece goes with the last that was taken from it.
  const std::weak_ptr<int32_t> last = taken[0];
  taken.clear();
  EXPECT_TRUE(last.expired());
}

}  // namespace
}  // namespace nla::packed
