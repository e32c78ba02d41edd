// Which pages of the KV cache are free, and how many sequences own each of the others.
#pragma once

#include <cstdint>
#include <vector>

namespace nla {

class PagePool {
 public:
  explicit PagePool(int64_t pages);

  int64_t pages() const { return static_cast<int64_t>(owners_.size()); }
  int64_t free() const { return static_cast<int64_t>(free_.size()); }
  int32_t owners(int32_t page) const { return owners_[page]; }
  int32_t Take();            // a free page, which must exist, for one owner
  void Share(int32_t page);  // one owner more
  void Drop(int32_t page);   // one owner less; free when it was the last

 private:
  std::vector<int32_t> owners_;
  std::vector<int32_t> free_;
};

}  // namespace nla
