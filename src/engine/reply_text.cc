// Stop strings are looked for in what is not shown yet: text that begins one is never shown before it is known not to.
#include "engine/reply_text.h"

#include <algorithm>
#include <string_view>

#include "base/fail.h"

namespace nla {
namespace {

// Longest end of `text` that is the beginning of `stop`, but not all of it.
size_t Overlap(std::string_view text, std::string_view stop) {
  size_t length = std::min(text.size(), stop.size() - 1);
  while (!text.ends_with(stop.substr(0, length))) --length;
  return length;
}

}  // namespace

ReplyText::ReplyText(const Tokenizer& tokenizer, ReplyTextOptions options)
    : decoder_(tokenizer, options.skip_special), options_(std::move(options)) {
  for (const std::string& stop : options_.stop) NLA_CHECK(!stop.empty());
}

std::string ReplyText::Push(TokenId id) {
  NLA_CHECK(!stopped_);
  decoder_.Push(id, pending_);
  return Release(false);
}

std::string ReplyText::Flush() {
  if (stopped_) return "";
  decoder_.Flush(pending_);
  return Release(true);
}

std::string ReplyText::Release(bool end) {
  // The stop string that begins first; of several, the first in the list.
  size_t begin = std::string::npos;
  for (const std::string& stop : options_.stop) {
    const size_t found = pending_.find(stop);
    if (found >= begin) continue;
    begin = found;
    stopped_ = stop;
  }
  size_t shown = pending_.size();
  if (stopped_) {
    shown = begin + (options_.trim_stop ? 0 : stopped_->size());
  } else if (!end) {
    size_t held = 0;
    for (const std::string& stop : options_.stop) held = std::max(held, Overlap(pending_, stop));
    shown -= held;
  }
  std::string out = pending_.substr(0, shown);
  pending_.erase(0, shown);
  return out;
}

}  // namespace nla
