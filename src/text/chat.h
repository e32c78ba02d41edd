// Chat formats: messages to the text and ids a chat model was trained on. ChatML as SmolLM2's template writes it.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace nla {

struct ChatMessage {
  std::string role;  // system | user | assistant
  std::string content;
  bool operator==(const ChatMessage&) const = default;
};

// A run of rendered text. Control runs come from the template and may spell special tokens; the others come from
// messages and never become control tokens.
struct ChatRun {
  std::string text;
  bool control = false;
};

// Immutable; safe to share between threads.
class ChatFormat {
 public:
  // Reads tokenizer_config.json of a checkpoint directory and recognises its chat template; one that is not known is an
  // error that says so.
  static ChatFormat Load(const std::filesystem::path& directory);

  // The rendered conversation; a default system turn is added where the template adds one.
  std::vector<ChatRun> Render(std::span<const ChatMessage> messages, bool add_generation_prompt) const;
  std::string RenderText(std::span<const ChatMessage> messages, bool add_generation_prompt) const;
  // Ids with no specials added beyond the template's own. `parse_special_in_content` trusts the messages too.
  std::vector<TokenId> Encode(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                              bool add_generation_prompt, bool parse_special_in_content = false) const;
  // The token that ends an assistant turn ("<|im_end|>").
  const std::string& end_of_turn() const { return end_of_turn_; }

 private:
  ChatFormat() = default;
  std::string default_system_;
  std::string end_of_turn_;
};

}  // namespace nla
