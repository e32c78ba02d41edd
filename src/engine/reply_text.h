// A reply's text as its tokens come: what can be shown so far, and where a stop string or pattern ends it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/stop_pattern.h"
#include "text/stream_decoder.h"

namespace nla {

struct ReplyTextOptions {
  std::vector<std::string> stop = {};  // none of them empty
  bool trim_stop = true;               // leave the stop string, or what matches a pattern, out
  bool skip_special = true;            // leave special tokens out
  std::vector<std::shared_ptr<const StopPattern>> patterns = {};  // shared by the replies of a request
};

// Holds back bytes that may be part of a character, of a stop string or of a match of at most kLongestStopMatch bytes.
// Borrows the tokenizer.
class ReplyText {
 public:
  ReplyText(const Tokenizer& tokenizer, ReplyTextOptions options);

  // The text that this token completes, to be shown. When the reply now spells a stop string, or a pattern matches,
  // stopped() is that string or pattern and nothing may be pushed any more.
  std::string Push(TokenId id);
  // The rest, at the reply's end.
  std::string Flush();
  const std::optional<std::string>& stopped() const { return stopped_; }
  // The pattern that takes too long to be looked for, when there is one: the reply cannot go on.
  const std::optional<std::string>& too_hard() const { return too_hard_; }

 private:
  // Where in text_ a stop begins and ends, and from where on text is held back.
  struct Place {
    size_t begin = std::string::npos, end = 0;
    size_t held = std::string::npos;
  };
  std::string Release(bool end);
  void FindStrings(Place& place);
  void FindPatterns(Place& place);

  StreamDecoder decoder_;
  ReplyTextOptions options_;
  std::string
      text_;  // decoded; with patterns the end of what was shown, which their lookbehinds see, and then the rest
  size_t shown_ = 0;  // bytes of text_
  std::optional<std::string> stopped_, too_hard_;
};

}  // namespace nla
