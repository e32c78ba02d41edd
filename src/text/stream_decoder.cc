// Holds back only what could still become a character; broken bytes leave as U+FFFD at once.
#include "text/stream_decoder.h"

#include "text/unicode.h"

namespace nla {

std::string StreamDecoder::Push(TokenId id) {
  if (skip_special_ && tokenizer_.IsSpecial(id)) return "";
  pending_ += tokenizer_.TokenBytes(id);
  size_t ready = 0;  // bytes of pending_ whose reading no later byte can change
  while (ready < pending_.size()) {
    const std::string_view rest = std::string_view(pending_).substr(ready);
    const size_t valid = ValidUtf8Prefix(rest);
    ready += valid;
    if (valid == rest.size()) break;
    bool may_continue = false;
    const size_t broken = IllFormedLength(rest.substr(valid), &may_continue);
    if (may_continue) break;
    ready += broken;
  }
  std::string out = RepairUtf8(std::string_view(pending_).substr(0, ready));
  pending_.erase(0, ready);
  return out;
}

std::string StreamDecoder::Flush() {
  std::string out = RepairUtf8(pending_);
  pending_.clear();
  return out;
}

}  // namespace nla
