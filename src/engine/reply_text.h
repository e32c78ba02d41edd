// A reply's text as its tokens come: what can be shown so far, and where a stop string ends it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "text/stream_decoder.h"

namespace nla {

struct ReplyTextOptions {
  std::vector<std::string> stop = {};  // none of them empty
  bool trim_stop = true;               // leave the stop string out
  bool skip_special = true;            // leave special tokens out
};

// Holds back bytes that may be part of a character or of a stop string. Borrows the tokenizer.
class ReplyText {
 public:
  ReplyText(const Tokenizer& tokenizer, ReplyTextOptions options);

  // The text that this token completes, to be shown. When the reply now spells a stop string, stopped() is that string
  // and nothing may be pushed any more.
  std::string Push(TokenId id);
  // The rest, at the reply's end.
  std::string Flush();
  const std::optional<std::string>& stopped() const { return stopped_; }

 private:
  std::string Release(bool end);

  StreamDecoder decoder_;
  ReplyTextOptions options_;
  std::string pending_;  // decoded, not shown yet
  std::optional<std::string> stopped_;
};

}  // namespace nla
