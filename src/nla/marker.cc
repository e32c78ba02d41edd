// The search for a marker: a character of the vocabulary that English text does not use, one token alone and one token
// inside the verbalizer's prompt. Checking a chosen marker at load is prompt.cc's.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/fail.h"
#include "nla/prompt.h"
#include "text/unicode.h"

namespace nla {
namespace {

struct CodePointRange {
  uint32_t first, last;
};

// In order of preference: what the releases use, then signs, then scripts far from English. The order is part of the
// method: another order gives another marker for the same tokenizer.
constexpr std::array<CodePointRange, 9> kRanges = {{
    {0x3200, 0x33FF},  // enclosed CJK letters and months, CJK compatibility: the releases' range
    {0x2460, 0x24FF},  // enclosed alphanumerics
    {0x2600, 0x27BF},  // miscellaneous symbols, dingbats
    {0x05D0, 0x05F2},  // Hebrew letters (its points combine with what stands before them)
    {0x0620, 0x064A},  // Arabic letters
    {0x0904, 0x0939},  // Devanagari letters
    {0x0E01, 0x0E30},  // Thai letters
    {0x3040, 0x30FF},  // Hiragana, Katakana
    {0x4E00, 0x9FFF},  // CJK ideographs
}};

std::vector<TokenId> PromptIds(const Tokenizer& tokenizer, const ChatFormat& chat, const std::string& content,
                               bool parse_special) {
  const std::vector<ChatMessage> messages = {{"user", content}};
  return chat.Encode(tokenizer, messages, /*add_generation_prompt=*/true, parse_special);
}

// The facts of this spelling as a marker, or nullopt when it is not one token everywhere it must be. The token must
// spell the marker itself (an unknown-token id would not), and the token before it must be what the text before it ends
// with when it stands alone.
std::optional<TokenFacts> TryMarker(const Tokenizer& tokenizer, const ChatFormat& chat, std::string_view actor_template,
                                    const std::string& marker, bool special) {
  const auto alone = tokenizer.Encode(marker, {.add_special = false, .parse_special = special});
  if (alone.size() != 1 || tokenizer.TokenBytes(alone[0]) != marker) return std::nullopt;
  const auto ids = PromptIds(tokenizer, chat, FillActorTemplate(actor_template, marker), special);
  if (std::count(ids.begin(), ids.end(), alone[0]) != 1) return std::nullopt;
  const int64_t site = std::find(ids.begin(), ids.end(), alone[0]) - ids.begin();
  if (site == 0 || site + 1 == static_cast<int64_t>(ids.size())) return std::nullopt;

  const std::string_view head = actor_template.substr(0, actor_template.find('{'));
  const auto head_ids = tokenizer.Encode(head, {.add_special = false});
  if (!head_ids.empty() && head_ids.back() != ids[site - 1]) return std::nullopt;
  return TokenFacts{.injection_char = marker,
                    .injection_token_id = alone[0],
                    .injection_left_neighbor_id = ids[site - 1],
                    .injection_right_neighbor_id = ids[site + 1],
                    .critic_suffix_ids = {}};
}

// A special token that neither the chat format nor the tokenizer's post-processor uses. Names that say "unused" first.
std::optional<TokenFacts> TrySpecialTokens(const Tokenizer& tokenizer, const ChatFormat& chat,
                                           std::string_view actor_template) {
  const auto in_use = PromptIds(tokenizer, chat, FillActorTemplate(actor_template, ""), false);
  const auto prefix = tokenizer.PrefixIds();
  const auto says_unused = [](std::string_view name) {
    return name.find("unused") != name.npos || name.find("reserved") != name.npos;
  };
  for (const bool wanted : {true, false}) {
    for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
      if (!tokenizer.IsValid(id) || !tokenizer.IsSpecial(id)) continue;
      const std::string name(tokenizer.TokenBytes(id));
      if (says_unused(name) != wanted || name == chat.end_of_turn()) continue;
      if (std::find(in_use.begin(), in_use.end(), id) != in_use.end()) continue;
      if (std::find(prefix.begin(), prefix.end(), id) != prefix.end()) continue;
      if (auto facts = TryMarker(tokenizer, chat, actor_template, name, /*special=*/true)) return facts;
    }
  }
  return std::nullopt;
}

std::optional<TokenFacts> Search(const Tokenizer& tokenizer, const ChatFormat& chat, std::string_view actor_template) {
  for (const CodePointRange& range : kRanges) {
    for (uint32_t c = range.first; c <= range.last; ++c) {
      std::string marker;
      AppendUtf8(c, marker);
      if (actor_template.find(marker) != actor_template.npos) continue;
      if (auto facts = TryMarker(tokenizer, chat, actor_template, marker, /*special=*/false)) return facts;
    }
  }
  return TrySpecialTokens(tokenizer, chat, actor_template);
}

}  // namespace

TokenFacts ChooseMarker(const Tokenizer& tokenizer, const ChatFormat& chat, std::string_view actor_template,
                        std::string_view critic_template) {
  auto facts = Search(tokenizer, chat, actor_template);
  if (!facts) {
    Fail({.where = "marker",
          .what = "no character of the searched ranges and no unused special token is one token in the prompt",
          .wanted = "a single token inside the actor template",
          .mend = "Put {injection_char} between ASCII signs in the actor template, as in "
                  "<concept>{injection_char}</concept>"});
  }
  facts->critic_suffix_ids = CriticSuffixIds(tokenizer, critic_template);
  return *facts;
}

}  // namespace nla
