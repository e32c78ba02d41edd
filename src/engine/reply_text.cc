// Stop strings and patterns are looked for in what is not shown yet: text that begins one is never shown before it is
// known not to.
#include "engine/reply_text.h"

#include <algorithm>
#include <string_view>

#include "base/fail.h"
#include "text/unicode.h"

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
  decoder_.Push(id, text_);
  return Release(false);
}

std::string ReplyText::Flush() {
  if (stopped_) return "";
  decoder_.Flush(text_);
  return Release(true);
}

// The stop string that begins first; of several, the first in the list.
void ReplyText::FindStrings(Place& place) {
  for (const std::string& stop : options_.stop) {
    const size_t found = text_.find(stop, shown_);
    if (found < place.begin) {
      place.begin = found;
      place.end = found + stop.size();
      stopped_ = stop;
    }
    const std::string_view rest = std::string_view(text_).substr(shown_);
    place.held = std::min(place.held, text_.size() - Overlap(rest, stop));
  }
}

// A match that begins before all of those counts as well.
void ReplyText::FindPatterns(Place& place) {
  if (too_hard_) return;
  for (const auto& pattern : options_.patterns) {
    const StopPattern::Found found = pattern->Search(text_, shown_);
    switch (found.verdict) {
      case StopPattern::Verdict::kAbsent:
        break;
      case StopPattern::Verdict::kMatched:
        if (found.begin >= place.begin) break;
        place.begin = found.begin;
        place.end = found.end;
        stopped_ = pattern->text();
        break;
      case StopPattern::Verdict::kBegun:
        place.held = std::min(place.held, std::max(found.begin, LastBytesOffset(text_, kLongestStopMatch)));
        break;
      case StopPattern::Verdict::kTooHard:
        too_hard_ = pattern->text();
        break;
    }
  }
}

std::string ReplyText::Release(bool end) {
  Place place;
  FindStrings(place);
  FindPatterns(place);
  size_t until = text_.size();
  if (stopped_) {
    until = options_.trim_stop ? place.begin : place.end;
  } else if (!end) {
    until = std::min(until, std::max(place.held, shown_));
  }
  std::string out = text_.substr(shown_, until - shown_);
  shown_ = until;
  // Lookbehinds have a limit of their own in PCRE2.
  const size_t kept =
      options_.patterns.empty() ? shown_ : std::min(shown_, LastBytesOffset(text_, 2 * kLongestStopMatch));
  text_.erase(0, kept);
  shown_ -= kept;
  return out;
}

}  // namespace nla
