// Decodes ids as they arrive, holding back bytes until it is known what characters they are.
#pragma once

#include <string>

#include "text/tokenizer.h"

namespace nla {

// Borrows the tokenizer. One instance per stream; not thread-safe.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  // The text that this id completes; may be empty. Concatenated with Flush() it equals Decode of all ids. Byte-level
  // pieces are held back until they complete a character. A run of <0xNN> pieces is held back until another piece ends
  // it: the `tokenizers` library reads the run as a whole, and one broken character spoils all of it.
  std::string Push(TokenId id);
  std::string Flush();
  // The same, appended to `out`.
  void Push(TokenId id, std::string& out);
  void Flush(std::string& out);

 private:
  void FlushRun(std::string& out);
  void FlushCharacters(std::string& out);

  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string pending_;      // bytes of byte-level pieces
  std::string pending_run_;  // bytes of <0xNN> pieces
};

}  // namespace nla
