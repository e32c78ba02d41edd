// A stack of free pages: the page that was used last is used next, while its memory is warm.
#include "engine/page_pool.h"

#include "base/fail.h"

namespace nla {

PagePool::PagePool(int64_t pages) : owners_(pages, 0) {
  for (int64_t page = pages; page-- > 0;) free_.push_back(static_cast<int32_t>(page));
}

int32_t PagePool::Take() {
  NLA_CHECK(!free_.empty());
  const int32_t page = free_.back();
  free_.pop_back();
  owners_[page] = 1;
  return page;
}

void PagePool::Share(int32_t page) {
  NLA_CHECK(owners_[page] > 0);
  ++owners_[page];
}

void PagePool::Drop(int32_t page) {
  NLA_CHECK(owners_[page] > 0);
  if (--owners_[page] == 0) free_.push_back(page);
}

}  // namespace nla
