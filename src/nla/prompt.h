// The prompts of the method: the verbalizer's (one marker token, a fixed text) and the reconstructor's (a filled
// template), and the search for a marker token. Definitions: formats.md section 1.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nla/sidecar.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace nla {

extern const std::string_view kDefaultActorTemplate;
extern const std::string_view kDefaultCriticTemplate;
inline constexpr std::string_view kInjectPlaceholder = "<INJECT>";

// The canonical verbalizer prompt as ids, and the one row that the activation overwrites.
struct ActorPrompt {
  std::vector<TokenId> ids;
  int64_t site = -1;  // index in ids of the marker
};

// The template with what stands at {injection_char}: a marker, or <INJECT> for a dataset row.
std::string FillActorTemplate(std::string_view actor_template, std::string_view marker);

// Finds a character that is one token, alone and inside the template's prompt: U+3200..U+33FF first (the releases'
// range), then the wider ranges of marker.cc, then an unused special token. Returns the facts for a sidecar, critic
// suffix included.
TokenFacts ChooseMarker(const Tokenizer& tokenizer, const ChatFormat& chat, std::string_view actor_template,
                        std::string_view critic_template);

// Builds the prompt and checks it: the marker is one token with that id, neighbours agree, exactly one site.
ActorPrompt BuildActorPrompt(const Tokenizer& tokenizer, const ChatFormat& chat, std::string_view actor_template,
                             const TokenFacts& tokens);
// The same for the messages of a dataset row, whose marker is spelled <INJECT>.
ActorPrompt BuildActorPrompt(const Tokenizer& tokenizer, const ChatFormat& chat, std::span<const ChatMessage> messages,
                             const TokenFacts& tokens);
// Indices where the id is the marker and both neighbours agree.
std::vector<int64_t> FindSites(std::span<const TokenId> ids, const TokenFacts& tokens);

std::string FillCriticTemplate(std::string_view critic_template, std::string_view explanation);
// Ids of the template's tail, without specials, minus the first (which can merge with the text).
std::vector<TokenId> CriticSuffixIds(const Tokenizer& tokenizer, std::string_view critic_template);
// Ids WITH specials; checked to begin with the tokenizer's prefix and to end with `suffix_ids`.
std::vector<TokenId> CriticPromptIds(const Tokenizer& tokenizer, std::string_view filled_prompt,
                                     std::span<const TokenId> suffix_ids);

// "<explanation>\n…\n</explanation>".
std::string WrapExplanation(std::string_view explanation);
// The payload of the first <explanation>…</explanation>, stripped; nullopt when the tags are not both there.
std::optional<std::string> ExtractExplanation(std::string_view reply);

}  // namespace nla
