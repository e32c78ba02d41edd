// Recognises the chat templates of checkpoints (Jinja) by their structure, without running them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nla {

// A template cut into what it does: tags, and what it prints. White space is trimmed as transformers' Jinja settings
// do; `x['y']` is written x.y, spaces and quotes are made uniform.
struct TemplatePart {
  enum class Kind { kTag, kLiteral, kExpression };
  Kind kind;
  std::string text;  // of a literal: the characters it prints
  bool operator==(const TemplatePart&) const = default;
};
// `where` names the template in errors.
std::vector<TemplatePart> ParseChatTemplate(std::string_view source, const std::string& where);

// What a ChatML template leaves open.
struct ChatMl {
  std::string default_system;  // system turn put before conversations that have none; "" is none
};
// Turns of "<|im_start|>ROLE\nCONTENT<|im_end|>\n", with or without a default system turn. Another template is an
// error.
ChatMl RecogniseChatMl(std::string_view source, const std::string& where);

}  // namespace nla
