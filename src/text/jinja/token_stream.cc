// Expectations on tokens, and how their disappointment reads.
#include "text/jinja/token_stream.h"

#include <fmt/format.h>

namespace nla::jinja {
namespace {

std::string_view NameOf(TokenKind kind) {
  switch (kind) {
    case TokenKind::kData:
      return "text";
    case TokenKind::kVariableBegin:
      return "{{";
    case TokenKind::kVariableEnd:
      return "}}";
    case TokenKind::kBlockBegin:
      return "{%";
    case TokenKind::kBlockEnd:
      return "%}";
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return "a token";
  }
}

}  // namespace

std::string DescribeToken(const Token& token) {
  if (token.kind == TokenKind::kString) return fmt::format("\"{}\"", token.text.Slice(0, 40).Utf8());
  return token.spelling.empty() ? std::string(NameOf(token.kind)) : token.spelling;
}

void TokenStream::FailHere(const std::string& what, const std::string& wanted) const {
  FailAtLine(where_, Current().line, what, DescribeToken(Current()), wanted);
}

void TokenStream::ExpectOperator(std::string_view spelling) {
  if (!SkipOperator(spelling)) FailHere("unexpected token in the chat template", std::string(spelling));
}

void TokenStream::ExpectName(std::string_view name) {
  if (!SkipName(name)) FailHere("unexpected token in the chat template", std::string(name));
}

std::string TokenStream::ExpectAnyName() {
  if (!Is(TokenKind::kName)) FailHere("unexpected token in the chat template", "a name");
  return Next().spelling;
}

void TokenStream::Expect(TokenKind kind) {
  if (!Is(kind)) FailHere("unexpected token in the chat template", std::string(NameOf(kind)));
  Next();
}

}  // namespace nla::jinja
