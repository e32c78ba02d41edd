// Holds back only what could still become a character; broken bytes leave as U+FFFD at once.
#include "text/stream_decoder.h"

#include "text/unicode.h"

namespace nla {

void StreamDecoder::Push(TokenId id, std::string& out) {
  if (skip_special_ && tokenizer_.IsSpecial(id)) return;
  const std::string_view bytes = tokenizer_.TokenBytes(id);
  if (tokenizer_.IsFallbackByte(id)) {
    pending_run_ += bytes;
    return;
  }
  if (!tokenizer_.IsValid(id)) return;
  FlushRun(out);
  if (pending_.empty() && ValidUtf8Prefix(bytes) == bytes.size()) {
    out += bytes;
    return;
  }
  pending_ += bytes;
  FlushCharacters(out);
}

// What no later byte can change the reading of.
void StreamDecoder::FlushCharacters(std::string& out) {
  size_t ready = 0;
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
  out += RepairUtf8(std::string_view(pending_).substr(0, ready));
  pending_.erase(0, ready);
}

void StreamDecoder::FlushRun(std::string& out) {
  if (ValidUtf8Prefix(pending_run_) == pending_run_.size()) {
    out += pending_run_;
  } else {
    for (size_t i = 0; i < pending_run_.size(); ++i) AppendUtf8(0xFFFD, out);
  }
  pending_run_.clear();
}

void StreamDecoder::Flush(std::string& out) {
  FlushRun(out);
  out += RepairUtf8(pending_);
  pending_.clear();
}

std::string StreamDecoder::Push(TokenId id) {
  std::string out;
  Push(id, out);
  return out;
}

std::string StreamDecoder::Flush() {
  std::string out;
  Flush(out);
  return out;
}

}  // namespace nla
