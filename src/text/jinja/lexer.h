// Jinja source to tokens, with the white-space control that chat templates are rendered with: trim_blocks and
// lstrip_blocks on, one newline at the end dropped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/text.h"

namespace nla::jinja {

enum class TokenKind : uint8_t {
  kData,  // text outside of markup
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  int line;
  std::string spelling = {};  // of a name, number or operator
  Text text = {};             // of data, and what a string literal means
};

// The last token is kEnd. `where` names the template in errors.
std::vector<Token> Tokenize(std::string_view source, const std::string& where);

// Ends the load: what stands on this line is wrong or not supported.
[[noreturn]] void FailAtLine(const std::string& where, int line, const std::string& what, const std::string& found = "",
                             const std::string& wanted = "");

}  // namespace nla::jinja
