// Rendering: messages and options to the variables that transformers gives to templates. Encoding is
// chat_encoding.cc's.
#include "text/chat.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/fail.h"
#include "text/chat_encoding.h"
#include "text/chat_source.h"
#include "text/jinja/json.h"
#include "text/jinja/template.h"
#include "text/json_view.h"

namespace nla {
namespace {

using jinja::Context;
using jinja::Date;
using jinja::Origin;
using jinja::Value;
using nlohmann::ordered_json;
using Variables = std::vector<std::pair<std::string, Value>>;

constexpr std::string_view kProbe = "probe of the reply";

// Roles are known words, so templates may build control tokens of them ("<|" + role + "|>").
void CheckRole(const std::string& role) {
  constexpr std::array<std::string_view, 6> kRoles = {"system", "developer", "user", "assistant", "tool", "ipython"};
  if (std::find(kRoles.begin(), kRoles.end(), role) != kRoles.end()) return;
  Fail({.where = "chat message",
        .what = "unknown role",
        .found = role,
        .wanted = "system, developer, user, assistant, tool or ipython"});
}

ordered_json ParseOption(const std::string& text, const std::string& where, bool array) {
  ordered_json parsed = ordered_json::parse(text, nullptr, false);
  if (array ? parsed.is_array() : parsed.is_object()) return parsed;
  Fail({.where = where,
        .what = "not what it must be",
        .found = text.substr(0, 80),
        .wanted = array ? "a JSON array" : "a JSON object"});
}

Date DateOf(const ChatOptions& options) {
  const std::string text = options.date.empty() ? std::string(kDefaultChatDate) : options.date;
  const auto date = jinja::ParseDate(text);
  if (!date) Fail({.where = "chat date", .what = "no day of the calendar", .found = text, .wanted = "YYYY-MM-DD"});
  return *date;
}

// transformers gives a message's reasoning under each name that templates know.
void AliasReasoning(ordered_json& message) {
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    const auto found = message.find(name);
    if (found == message.end() || found->is_null()) continue;
    const ordered_json reasoning = *found;
    if (!message.contains("thinking")) message["thinking"] = reasoning;
    message["reasoning_content"] = reasoning;
    return;
  }
}

Value MessageValue(Context& context, const ChatMessage& message) {
  CheckRole(message.role);
  ordered_json extra = ordered_json::object();
  if (!message.extra.empty()) extra = ParseOption(message.extra, "chat message: extra", /*array=*/false);
  AliasReasoning(extra);
  std::vector<jinja::DictEntry> entries;
  const auto put = [&](const std::string& name, Value value) {
    entries.push_back({context.String(name, Origin::kTemplate), std::move(value)});
  };
  put("role", context.String(message.role, Origin::kTemplate));
  if (!extra.contains("content")) put("content", context.String(message.content, Origin::kMessage));
  for (const auto& [name, value] : extra.items()) {
    if (name != "role") put(name, jinja::FromJson(context, value, Origin::kMessage));
  }
  return context.NewDict(std::move(entries));
}

}  // namespace

struct ChatFormat::Impl {
  jinja::Template parsed;
  ChatSource source;
  ChatOptions options;
  Date date;
  std::string date_text;
  std::string end_of_turn;
  bool spells_end = false;  // the template itself does
  bool uses_date = false;

  Impl(ChatSource from, const ChatOptions& chosen);
  jinja::Text Run(std::span<const ChatMessage> messages, bool add_generation_prompt) const;
  Variables VariablesFor(Context& context, std::span<const ChatMessage> messages, bool prompt) const;
  void FindEndOfTurn();
};

ChatFormat::Impl::Impl(ChatSource from, const ChatOptions& chosen)
    : parsed(jinja::Template::Parse(from.text, from.where)),
      source(std::move(from)),
      options(chosen),
      date(DateOf(chosen)),
      date_text(jinja::FormatDate(date)) {
  uses_date =
      source.text.find("strftime_now") != std::string::npos || source.text.find("date_string") != std::string::npos;
  FindEndOfTurn();
}

Variables ChatFormat::Impl::VariablesFor(Context& context, std::span<const ChatMessage> messages, bool prompt) const {
  Variables variables;
  for (const auto& [name, spelling] : source.tokens) {
    variables.emplace_back(name, context.String(spelling, Origin::kTemplate));
  }
  jinja::Values list;
  for (const ChatMessage& message : messages) list.push_back(MessageValue(context, message));
  variables.emplace_back("messages", context.NewList(std::move(list)));
  variables.emplace_back("documents", Value::None());
  variables.emplace_back(
      "tools", options.tools.empty()
                   ? Value::None()
                   : jinja::FromJson(context, ParseOption(options.tools, "chat tools", true), Origin::kMessage));
  variables.emplace_back("add_generation_prompt", Value::Bool(prompt));
  if (!options.date.empty()) {  // what templates without a clock take
    std::string problem;
    const std::string day = jinja::FormatTime(date, "%d %b %Y", problem).value_or("");
    variables.emplace_back("date_string", context.String(day, Origin::kMessage));
  }
  if (!options.variables.empty()) {
    const ordered_json given = ParseOption(options.variables, "chat variables", /*array=*/false);
    for (const auto& [name, value] : given.items()) {
      variables.emplace_back(name, jinja::FromJson(context, value, Origin::kMessage));
    }
  }
  return variables;
}

jinja::Text ChatFormat::Impl::Run(std::span<const ChatMessage> messages, bool add_generation_prompt) const {
  Context context(source.where, {}, date);
  return parsed.Render(context, VariablesFor(context, messages, add_generation_prompt));
}

// What the template writes behind a reply begins with the token that ends a turn; where it writes none, the
// checkpoint's end of sequence does that.
void ChatFormat::Impl::FindEndOfTurn() {
  std::string eos;
  for (const auto& [name, spelling] : source.tokens) {
    if (name == "eos_token") eos = spelling;
  }
  std::string behind;
  try {
    const std::vector<ChatMessage> messages = {{"user", "x"}, {"assistant", std::string(kProbe)}};
    const std::string text = Run(messages, false).Utf8();
    const size_t at = text.rfind(kProbe);
    if (at != text.npos) behind = text.substr(at + kProbe.size());
  } catch (const Error&) {  // such a conversation is not one for this template
    behind.clear();
  }
  behind.erase(0, std::min(behind.find_first_not_of(" \n"), behind.size()));
  const size_t close = behind.find('>');
  if (!eos.empty() && behind.starts_with(eos)) {
    end_of_turn = eos;
  } else if (behind.starts_with('<') && close != behind.npos) {
    end_of_turn = behind.substr(0, close + 1);
  }
  spells_end = !end_of_turn.empty();
  if (!spells_end) end_of_turn = eos;
}

ChatFormat ChatFormat::Load(const std::filesystem::path& directory, const ChatOptions& options) {
  return ChatFormat(std::make_shared<const Impl>(ReadChatSource(directory, !options.tools.empty()), options));
}

ChatFormat ChatFormat::FromText(std::string_view source, const std::string& where,
                                const std::vector<std::pair<std::string, std::string>>& tokens,
                                const ChatOptions& options) {
  return ChatFormat(std::make_shared<const Impl>(
      ChatSource{.text = std::string(source), .where = where, .tokens = tokens, .eos_ids = {}}, options));
}

std::vector<ChatRun> ChatFormat::Render(std::span<const ChatMessage> messages, bool add_generation_prompt) const {
  return RunsOf(impl_->Run(messages, add_generation_prompt));
}

std::string ChatFormat::RenderText(std::span<const ChatMessage> messages, bool add_generation_prompt) const {
  return impl_->Run(messages, add_generation_prompt).Utf8();
}

std::vector<TokenId> ChatFormat::Encode(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                                        bool add_generation_prompt, bool parse_special_in_content) const {
  if (impl_->spells_end) {
    const auto id = tokenizer.Find(impl_->end_of_turn);
    if (!id || !tokenizer.IsSpecial(*id)) {
      Fail({.where = "tokenizer.json",
            .what = "the chat template's control token is not a special token of this tokenizer",
            .found = impl_->end_of_turn,
            .mend = "Take tokenizer.json and tokenizer_config.json from the same checkpoint"});
    }
  }
  const jinja::Text text = impl_->Run(messages, add_generation_prompt);
  if (parse_special_in_content) {
    return tokenizer.Encode(text.Utf8(), {.add_special = false, .parse_special = true});
  }
  return EncodeRuns(tokenizer, RunsOf(text));
}

const std::string& ChatFormat::end_of_turn() const { return impl_->end_of_turn; }

std::vector<TokenId> ChatFormat::StopIds(const Tokenizer& tokenizer) const {
  std::vector<TokenId> ids;
  if (const auto end = tokenizer.Find(impl_->end_of_turn); end && !impl_->end_of_turn.empty()) ids.push_back(*end);
  for (const TokenId id : impl_->source.eos_ids) {
    if (tokenizer.IsValid(id) && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

const std::string& ChatFormat::date() const { return impl_->date_text; }
bool ChatFormat::uses_date() const { return impl_->uses_date; }

}  // namespace nla
