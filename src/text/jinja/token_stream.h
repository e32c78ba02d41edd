// The tokens of a template, as a parser reads them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/lexer.h"

namespace nla::jinja {

class TokenStream {
 public:
  TokenStream(std::string_view source, std::string where)
      : where_(std::move(where)), tokens_(Tokenize(source, where_)) {}

  const Token& Current() const { return tokens_[next_]; }
  const Token& Ahead() const { return tokens_[std::min(next_ + 1, tokens_.size() - 1)]; }
  Token Next() {
    Token token = tokens_[next_];
    if (next_ + 1 < tokens_.size()) ++next_;
    return token;
  }

  bool Is(TokenKind kind) const { return Current().kind == kind; }
  bool IsOperator(std::string_view spelling) const {
    return Is(TokenKind::kOperator) && Current().spelling == spelling;
  }
  bool IsName(std::string_view name) const { return Is(TokenKind::kName) && Current().spelling == name; }
  bool SkipOperator(std::string_view spelling) {
    const bool is = IsOperator(spelling);
    if (is) Next();
    return is;
  }
  bool SkipName(std::string_view name) {
    const bool is = IsName(name);
    if (is) Next();
    return is;
  }
  // Fail unless the token is next, and take it.
  void ExpectOperator(std::string_view spelling);
  void ExpectName(std::string_view name);
  std::string ExpectAnyName();
  void Expect(TokenKind kind);

  const std::string& where() const { return where_; }
  [[noreturn]] void FailHere(const std::string& what, const std::string& wanted = "") const;
  [[noreturn]] void FailAt(int line, const std::string& what, const std::string& found = "",
                           const std::string& wanted = "") const {
    FailAtLine(where_, line, what, found, wanted);
  }

 private:
  std::string where_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
};

// How a token is named in errors.
std::string DescribeToken(const Token& token);

}  // namespace nla::jinja
