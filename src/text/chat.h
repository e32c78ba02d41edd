// Chat formats: messages to the text and ids a chat model was trained on, by running the checkpoint's own chat template
// (text/jinja). What messages bring never becomes a control token.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace nla {

struct ChatMessage {
  std::string role;  // system | developer | user | assistant | tool | ipython
  std::string content;
  // A JSON object of what else the template may read of the message ("tool_calls", "reasoning_content", …), or "".
  std::string extra = {};
  bool operator==(const ChatMessage&) const = default;
};

// A run of rendered text. Control runs come from the template and may spell special tokens; the others come from
// messages and never become control tokens.
struct ChatRun {
  std::string text;
  bool control = false;
};

// The day that a template which prints one takes for today, unless another is given: the day such templates fall back
// to themselves. A fixed day keeps prompts the same from run to run.
inline constexpr std::string_view kDefaultChatDate = "2024-07-26";

struct ChatOptions {
  std::string date = {};       // YYYY-MM-DD; "" is kDefaultChatDate
  std::string tools = {};      // JSON array of tool schemas; "" for none
  std::string variables = {};  // JSON object of what else the template reads ("enable_thinking", …); "" for none
};

// Immutable; safe to share between threads. Copies share the template.
class ChatFormat {
 public:
  // Reads the chat template of a checkpoint directory (chat_template.jinja or tokenizer_config.json). A template that
  // uses what text/jinja lacks is an error that names the line.
  static ChatFormat Load(const std::filesystem::path& directory, const ChatOptions& options = {});
  // The same for a template's text. `tokens` are the variables that spell special tokens ("bos_token", "<s>").
  static ChatFormat FromText(std::string_view source, const std::string& where,
                             const std::vector<std::pair<std::string, std::string>>& tokens = {},
                             const ChatOptions& options = {});

  // The rendered conversation. What the template refuses (roles that do not alternate, …) is an error with its words.
  std::vector<ChatRun> Render(std::span<const ChatMessage> messages, bool add_generation_prompt) const;
  std::string RenderText(std::span<const ChatMessage> messages, bool add_generation_prompt) const;
  // Ids with no specials added beyond the template's own. They are those of the whole rendered text, unless messages
  // spell special tokens: that spelling stays text. `parse_special_in_content` trusts the messages too.
  std::vector<TokenId> Encode(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                              bool add_generation_prompt, bool parse_special_in_content = false) const;

  // The token that ends an assistant turn ("<|im_end|>"), or "" when the template and the checkpoint name none.
  const std::string& end_of_turn() const;
  // Ids that end a reply: the end of turn, and those of generation_config.json.
  std::vector<TokenId> StopIds(const Tokenizer& tokenizer) const;
  // The day that the template takes for today, YYYY-MM-DD, and whether it asks for one.
  const std::string& date() const;
  bool uses_date() const;

 private:
  struct Impl;
  explicit ChatFormat(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;  // shared by copies: immutable
};

}  // namespace nla
