// The template's special tokens are found in the text as the template wrote it, with every message replaced by one
// character that no token spells.
#include "text/chat_encoding.h"

#include <algorithm>

#include "base/fail.h"

namespace nla {
namespace {

constexpr std::string_view kStandIn = "\U0010FFFD";  // a private-use character

std::vector<TokenId> SpecialsOf(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::vector<TokenId> specials;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(specials),
               [&](TokenId id) { return tokenizer.IsSpecial(id); });
  return specials;
}

// Text between the special tokens encoded by itself, with their spelling in messages left as text.
class SafeEncoder {
 public:
  SafeEncoder(const Tokenizer& tokenizer, std::span<const TokenId> specials)
      : tokenizer_(tokenizer), specials_(specials) {}

  std::vector<TokenId> Encode(std::span<const ChatRun> runs) {
    for (const ChatRun& run : runs) {
      std::string_view rest = run.text;
      while (run.control && next_ < specials_.size()) {
        const std::string_view spelling = tokenizer_.TokenBytes(specials_[next_]);
        const size_t at = rest.find(spelling);
        if (at == rest.npos) break;
        text_ += rest.substr(0, at);
        Flush();
        ids_.push_back(specials_[next_++]);
        rest.remove_prefix(at + spelling.size());
      }
      text_ += rest;
    }
    NLA_CHECK(next_ == specials_.size());
    Flush();
    return std::move(ids_);
  }

 private:
  void Flush() {
    if (text_.empty()) return;
    const auto encoded = tokenizer_.Encode(text_, {.add_special = false, .parse_special = false});
    ids_.insert(ids_.end(), encoded.begin(), encoded.end());
    text_.clear();
  }

  const Tokenizer& tokenizer_;
  std::span<const TokenId> specials_;
  size_t next_ = 0;
  std::string text_;
  std::vector<TokenId> ids_;
};

}  // namespace

std::vector<ChatRun> RunsOf(const jinja::Text& text) {
  std::vector<ChatRun> runs;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    while (end < text.size() && text.OriginAt(end) == text.OriginAt(begin)) ++end;
    runs.push_back({text.Slice(begin, end - begin).Utf8(), text.OriginAt(begin) == jinja::Origin::kTemplate});
    begin = end;
  }
  return runs;
}

std::vector<TokenId> EncodeRuns(const Tokenizer& tokenizer, std::span<const ChatRun> runs) {
  std::string text;
  std::string masked;
  for (const ChatRun& run : runs) {
    text += run.text;
    masked += run.control ? std::string_view(run.text) : kStandIn;
  }
  const auto specials = SpecialsOf(tokenizer, tokenizer.Encode(masked, {.add_special = false, .parse_special = true}));
  std::vector<TokenId> ids = tokenizer.Encode(text, {.add_special = false, .parse_special = true});
  if (SpecialsOf(tokenizer, ids) == specials) return ids;
  return SafeEncoder(tokenizer, specials).Encode(runs);
}

}  // namespace nla
