// Expressions of templates, from tokens to a tree, with Jinja's own precedences.
#pragma once

#include "text/jinja/ast.h"
#include "text/jinja/token_stream.h"

namespace nla::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // `conditional` allows "a if b else c" at the top.
  ExprPtr ParseExpression(bool conditional = true);
  // One expression, or several with commas between them: a tuple. With nothing before the closing token, fails.
  ExprPtr ParseTuple(bool conditional = true);
  // "name(args) | name …" around the text of a block: the innermost input is null.
  ExprPtr ParseFilterChain();
  // Primary with its attributes and calls, and filters behind it.
  ExprPtr ParseUnary(bool with_filters = true);

  // The macro whose body is being read, or null: it notes which of its implicit names are used.
  void SetMacro(MacroNode* macro) { macro_ = macro; }
  MacroNode* macro() const { return macro_; }

 private:
  struct Arguments {
    std::vector<ExprPtr> positional;
    std::vector<std::pair<std::string, ExprPtr>> named;
  };
  // Counts the nesting of the parser itself.
  class Nested;

  ExprPtr ParseConditional();
  ExprPtr ParseBinary(int level);
  ExprPtr ParseNot();
  ExprPtr ParseCompare();
  ExprPtr ParseConcat();
  ExprPtr ParsePower();
  ExprPtr ParsePrimary();
  ExprPtr ParseName();
  ExprPtr ParseNumber();
  ExprPtr ParseParenthesized();
  ExprPtr ParseList();
  ExprPtr ParseDict();
  ExprPtr ParsePostfix(ExprPtr expr);
  ExprPtr ParseDot(ExprPtr object);
  ExprPtr ParseSubscript(ExprPtr object);
  ExprPtr ParseFilters(ExprPtr expr, bool start_inline = false);
  ExprPtr ParseFilter(ExprPtr input);
  ExprPtr ParseTest(ExprPtr input);
  ExprPtr ParseCall(ExprPtr callee);
  Arguments ParseArguments();
  // A node with its depth checked.
  ExprPtr Make(Expr expr) const;
  ExprPtr MakeBinary(Op op, int line, ExprPtr left, ExprPtr right) const;
  void CheckCallee(const Expr& callee) const;
  // The filter or test that map, select and their like name.
  void CheckNamedInside(const Expr& filter) const;

  TokenStream& tokens_;
  MacroNode* macro_ = nullptr;
  int nesting_ = 0;
};

}  // namespace nla::jinja
