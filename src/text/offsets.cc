// Each mapping is by whole characters; binary search finds the place among repairs.
#include "text/offsets.h"

#include <algorithm>

#include "text/unicode.h"

namespace nla {

RepairedText::RepairedText(std::string_view text) : text_(text) {
  size_t valid = ValidUtf8Prefix(text);
  if (valid == text.size()) return;
  for (size_t offset = 0;;) {
    storage_.append(text.substr(offset, valid));
    offset += valid;
    if (offset == text.size()) break;
    AppendUtf8(0xFFFD, storage_);
    offset += IllFormedLength(text.substr(offset));
    anchors_.push_back({storage_.size(), offset});
    valid = ValidUtf8Prefix(text.substr(offset));
  }
  text_ = storage_;
}

size_t RepairedText::Original(size_t offset) const {
  const auto behind = std::upper_bound(anchors_.begin(), anchors_.end(), offset,
                                       [](size_t value, const Anchor& anchor) { return value < anchor.repaired; });
  if (behind == anchors_.begin()) return offset;
  const Anchor& anchor = *std::prev(behind);
  return anchor.original + (offset - anchor.repaired);
}

ByteRange NormalizedOffsets::Widen(ByteRange range) const {
  if (!origins_.empty()) return {base_ + origins_[range.begin].begin, base_ + origins_[range.end - 1].end};
  range.begin = LastCharOffset(normalized_.substr(0, range.begin + 1));
  const size_t last = LastCharOffset(normalized_.substr(0, range.end));
  range.end = last + static_cast<size_t>(DecodeChar(normalized_.substr(last)).length);
  return {base_ + range.begin, base_ + range.end};
}

ByteRange WithoutEnds(std::string_view text, ByteRange range, size_t leading, size_t trailing) {
  for (; leading > 0 && range.begin < range.end; --leading) {
    range.begin += static_cast<size_t>(DecodeChar(text.substr(range.begin)).length);
  }
  for (; trailing > 0 && range.begin < range.end; --trailing) {
    range.end = LastCharOffset(text.substr(0, range.end));
  }
  return range;
}

}  // namespace nla
