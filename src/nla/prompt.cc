// Builds and checks the two prompts of the method. The marker's search is marker.cc's; overwriting the marker's row
// with an activation is the verbalizer's.
#include "nla/prompt.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/fail.h"

namespace nla {

const std::string_view kDefaultActorTemplate =
    "One token of this message is not a word: between the <concept> tags stands an activation vector, taken from "
    "inside "
    "a language model at the moment when it had read a text up to some point. Say what the vector tells about that "
    "text.\n\n<concept>{injection_char}</concept>\n\nAnswer within <explanation> tags with 2-3 short features, the "
    "surest first, a blank line between them.";

const std::string_view kDefaultCriticTemplate = "Summary of the following text: <text>{explanation}</text> <summary>";

namespace {

constexpr std::string_view kMarkerField = "{injection_char}";
constexpr std::string_view kExplanationField = "{explanation}";
constexpr std::string_view kOpenTag = "<explanation>";
constexpr std::string_view kCloseTag = "</explanation>";

// What stands before and after the only placeholder. Other braces are refused: other readers of a sidecar take them for
// format fields, and the same template would then give different prompts.
std::pair<std::string_view, std::string_view> SplitTemplate(std::string_view text, std::string_view field,
                                                            const char* name) {
  const size_t at = text.find(field);
  if (at == std::string_view::npos) {
    Fail({.where = name,
          .what = "placeholder is missing",
          .found = std::string(text),
          .wanted = std::string(field) + " once"});
  }
  const auto head = text.substr(0, at), tail = text.substr(at + field.size());
  if (head.find_first_of("{}") != head.npos || tail.find_first_of("{}") != tail.npos) {
    Fail({.where = name,
          .what = "a brace stands outside the placeholder",
          .found = std::string(text),
          .wanted = std::string(field) + " once and no other brace"});
  }
  return {head, tail};
}

std::string ShowNeighbor(const Tokenizer& tokenizer, TokenId id) {
  return tokenizer.IsValid(id) ? fmt::format("{} ({})", id, tokenizer.TokenBytes(id)) : fmt::format("{}", id);
}

// The marker, alone, must be one token with the sidecar's id.
void CheckMarker(const Tokenizer& tokenizer, const TokenFacts& tokens) {
  const bool special = tokenizer.IsValid(tokens.injection_token_id) && tokenizer.IsSpecial(tokens.injection_token_id);
  const auto ids = tokenizer.Encode(tokens.injection_char, {.add_special = false, .parse_special = special});
  if (ids.size() != 1 || ids[0] != tokens.injection_token_id) {
    Fail({.where = "tokens.injection_char",
          .what = fmt::format("the marker \"{}\" does not become its token", tokens.injection_char),
          .found = fmt::format("ids [{}]", fmt::join(ids, ", ")),
          .wanted = fmt::format("[{}]", tokens.injection_token_id),
          .mend = "Use the tokenizer that the sidecar was made with"});
  }
}

void CheckNeighbor(const Tokenizer& tokenizer, TokenId found, TokenId wanted, const char* field) {
  if (found == wanted) return;
  Fail({.where = field,
        .what = "another token stands beside the marker in the prompt",
        .found = ShowNeighbor(tokenizer, found),
        .wanted = ShowNeighbor(tokenizer, wanted),
        .mend = "Use the tokenizer, chat format and actor template that the sidecar was made with"});
}

// White space as Python's str.strip() sees it: explanations must come out equal in both worlds.
constexpr std::array<std::string_view, 29> kSpaces = {
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",   "\x1e",   "\x1f",
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

std::string_view Strip(std::string_view text) {
  const auto shrink = [&](auto touches, auto cut) {
    for (bool again = true; again;) {
      const auto space = std::find_if(kSpaces.begin(), kSpaces.end(), touches);
      again = space != kSpaces.end();
      if (again) cut(space->size());
    }
  };
  shrink([&](std::string_view s) { return text.starts_with(s); }, [&](size_t n) { text.remove_prefix(n); });
  shrink([&](std::string_view s) { return text.ends_with(s); }, [&](size_t n) { text.remove_suffix(n); });
  return text;
}

}  // namespace

std::string FillActorTemplate(std::string_view actor_template, std::string_view marker) {
  const auto [head, tail] = SplitTemplate(actor_template, kMarkerField, "prompt_templates.actor");
  return fmt::format("{}{}{}", head, marker, tail);
}

std::string FillCriticTemplate(std::string_view critic_template, std::string_view explanation) {
  const auto [head, tail] = SplitTemplate(critic_template, kExplanationField, "prompt_templates.critic");
  return fmt::format("{}{}{}", head, explanation, tail);
}

ActorPrompt BuildActorPrompt(const Tokenizer& tokenizer, const ChatFormat& chat, std::string_view actor_template,
                             const TokenFacts& tokens) {
  const std::vector<ChatMessage> messages = {{"user", FillActorTemplate(actor_template, kInjectPlaceholder)}};
  return BuildActorPrompt(tokenizer, chat, messages, tokens);
}

ActorPrompt BuildActorPrompt(const Tokenizer& tokenizer, const ChatFormat& chat, std::span<const ChatMessage> messages,
                             const TokenFacts& tokens) {
  CheckMarker(tokenizer, tokens);
  std::vector<ChatMessage> filled(messages.begin(), messages.end());
  int placeholders = 0;
  for (ChatMessage& message : filled) {
    for (size_t at = 0; (at = message.content.find(kInjectPlaceholder, at)) != std::string::npos; ++placeholders) {
      message.content.replace(at, kInjectPlaceholder.size(), tokens.injection_char);
      at += tokens.injection_char.size();
    }
  }
  if (placeholders != 1) {
    Fail({.where = "prompt",
          .what = "wrong number of places for the activation",
          .found = fmt::format("{} times {}", placeholders, kInjectPlaceholder),
          .wanted = "exactly one"});
  }
  const bool special = tokenizer.IsSpecial(tokens.injection_token_id);
  ActorPrompt prompt;
  prompt.ids = chat.Encode(tokenizer, filled, /*add_generation_prompt=*/true, /*parse_special_in_content=*/special);
  const auto count = std::count(prompt.ids.begin(), prompt.ids.end(), tokens.injection_token_id);
  if (count != 1) {
    Fail({.where = "prompt",
          .what = fmt::format("the marker \"{}\" must be exactly one token of the prompt", tokens.injection_char),
          .found = fmt::format("{} tokens with id {}", count, tokens.injection_token_id),
          .wanted = "1",
          .mend = "The marker merges with its surroundings or stands in the template a second time"});
  }
  prompt.site = std::find(prompt.ids.begin(), prompt.ids.end(), tokens.injection_token_id) - prompt.ids.begin();
  if (prompt.site == 0 || prompt.site + 1 == static_cast<int64_t>(prompt.ids.size())) {
    Fail({.where = "prompt", .what = "the marker stands at the edge of the prompt", .wanted = "a token on each side"});
  }
  CheckNeighbor(tokenizer, prompt.ids[prompt.site - 1], tokens.injection_left_neighbor_id,
                "tokens.injection_left_neighbor_id");
  CheckNeighbor(tokenizer, prompt.ids[prompt.site + 1], tokens.injection_right_neighbor_id,
                "tokens.injection_right_neighbor_id");
  return prompt;
}

std::vector<int64_t> FindSites(std::span<const TokenId> ids, const TokenFacts& tokens) {
  std::vector<int64_t> sites;
  for (size_t i = 1; i + 1 < ids.size(); ++i) {
    if (ids[i] == tokens.injection_token_id && ids[i - 1] == tokens.injection_left_neighbor_id &&
        ids[i + 1] == tokens.injection_right_neighbor_id) {
      sites.push_back(static_cast<int64_t>(i));
    }
  }
  return sites;
}

std::vector<TokenId> CriticSuffixIds(const Tokenizer& tokenizer, std::string_view critic_template) {
  const auto tail = SplitTemplate(critic_template, kExplanationField, "prompt_templates.critic").second;
  auto ids = tokenizer.Encode(tail, {.add_special = false});
  if (ids.size() < 2) {
    Fail({.where = "prompt_templates.critic",
          .what = "the text after {explanation} is too short to recognise a prompt's end by",
          .found = fmt::format("\"{}\" ({} tokens)", tail, ids.size()),
          .wanted = "at least 2 tokens"});
  }
  ids.erase(ids.begin());
  return ids;
}

std::vector<TokenId> CriticPromptIds(const Tokenizer& tokenizer, std::string_view filled_prompt,
                                     std::span<const TokenId> suffix_ids) {
  auto ids = tokenizer.Encode(filled_prompt, {.add_special = true});
  const auto prefix = tokenizer.PrefixIds();
  const auto show = [](std::span<const TokenId> part) { return fmt::format("[{}]", fmt::join(part, ", ")); };
  if (ids.size() < prefix.size() || !std::equal(prefix.begin(), prefix.end(), ids.begin())) {
    Fail({.where = "reconstructor prompt",
          .what = "it does not begin with the tokenizer's special tokens",
          .found = show(std::span(ids).first(std::min(ids.size(), prefix.size()))),
          .wanted = show(prefix)});
  }
  if (ids.size() < suffix_ids.size() || !std::equal(suffix_ids.rbegin(), suffix_ids.rend(), ids.rbegin())) {
    Fail({.where = "reconstructor prompt",
          .what = "it does not end with tokens.critic_suffix_ids, so the vector would be read at a wrong place",
          .found = show(std::span(ids).last(std::min(ids.size(), suffix_ids.size()))),
          .wanted = show(suffix_ids),
          .mend = "Use the tokenizer and critic template that the sidecar was made with"});
  }
  return ids;
}

std::string WrapExplanation(std::string_view explanation) {
  return fmt::format("{}\n{}\n{}", kOpenTag, explanation, kCloseTag);
}

std::optional<std::string> ExtractExplanation(std::string_view reply) {
  const size_t open = reply.find(kOpenTag);
  if (open == std::string_view::npos) return std::nullopt;
  const size_t begin = open + kOpenTag.size();
  const size_t close = reply.find(kCloseTag, begin);
  if (close == std::string_view::npos) return std::nullopt;
  return std::string(Strip(reply.substr(begin, close - begin)));
}

}  // namespace nla
