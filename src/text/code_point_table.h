// One byte for every code point, in pages of 256 of which equal ones are stored once.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/fail.h"

namespace nla {

inline constexpr uint32_t kCodePoints = 0x110000;

class CodePointTable {
 public:
  // `values` has kCodePoints elements.
  explicit CodePointTable(const std::vector<uint8_t>& values) {
    NLA_CHECK(values.size() == kCodePoints);
    for (uint32_t page = 0; page < kCodePoints / 256; ++page) {
      Page content;
      std::memcpy(content.data(), &values[page * 256], 256);
      size_t index = 0;
      while (index < pages_.size() && pages_[index] != content) ++index;
      if (index == pages_.size()) pages_.push_back(content);
      index_[page] = static_cast<uint8_t>(index);
    }
    NLA_CHECK(pages_.size() <= 256);
  }

  uint8_t At(uint32_t code_point) const { return pages_[index_[code_point >> 8]][code_point & 255]; }

 private:
  using Page = std::array<uint8_t, 256>;
  std::array<uint8_t, kCodePoints / 256> index_;
  std::vector<Page> pages_;
};

}  // namespace nla
