// Decodes ids as they arrive, holding back bytes until they complete a character.
#pragma once

#include <string>

#include "text/tokenizer.h"

namespace nla {

// Borrows the tokenizer. One instance per stream; not thread-safe.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  // The text that this id completes; may be empty. Concatenated with Flush() it equals Decode of all ids.
  std::string Push(TokenId id);
  std::string Flush();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string pending_;
};

}  // namespace nla
