// What may follow a primary expression: attributes, subscripts, calls, filters and tests.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "text/jinja/builtins.h"
#include "text/jinja/expression_parser.h"

namespace nla::jinja {

ExprPtr ExpressionParser::ParsePostfix(ExprPtr expr) {
  while (true) {
    if (tokens_.IsOperator(".")) {
      expr = ParseDot(std::move(expr));
    } else if (tokens_.IsOperator("[")) {
      expr = ParseSubscript(std::move(expr));
    } else if (tokens_.IsOperator("(")) {
      expr = ParseCall(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::ParseFilters(ExprPtr expr, bool start_inline) {
  if (start_inline) expr = ParseFilter(std::move(expr));
  while (true) {
    if (tokens_.SkipOperator("|")) {
      expr = ParseFilter(std::move(expr));
    } else if (tokens_.IsName("is")) {
      expr = ParseTest(std::move(expr));
    } else if (tokens_.IsOperator("(")) {
      expr = ParseCall(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::ParseFilterChain() { return ParseFilters(nullptr, /*start_inline=*/true); }

ExprPtr ExpressionParser::ParseDot(ExprPtr object) {
  const int line = tokens_.Next().line;
  Expr made{.op = Op::kGetattr, .line = line};
  if (tokens_.Is(TokenKind::kInteger)) {
    const Token index = tokens_.Next();
    int64_t value = 0;
    std::from_chars(index.spelling.data(), index.spelling.data() + index.spelling.size(), value);
    return MakeBinary(Op::kGetitem, line, std::move(object),
                      Make({.op = Op::kConst, .line = line, .constant = Value::Int(value)}));
  }
  made.name = tokens_.ExpectAnyName();
  if (object->op == Op::kName && object->name == "loop" && (made.name == "changed")) {
    tokens_.FailAt(line, "not supported in a chat template", "loop.changed");
  }
  made.constant = Value::String(Text(made.name, Origin::kTemplate));
  made.args.push_back(std::move(object));
  return Make(std::move(made));
}

ExprPtr ExpressionParser::ParseSubscript(ExprPtr object) {
  const int line = tokens_.Next().line;
  std::array<ExprPtr, 3> parts;
  size_t count = 0;
  bool colon = false;
  while (!tokens_.IsOperator("]")) {
    if (tokens_.SkipOperator(":")) {
      colon = true;
      if (++count == parts.size()) tokens_.FailHere("unexpected token in the chat template", "]");
    } else if (parts[count] == nullptr) {
      parts[count] = ParseExpression();
    } else {
      tokens_.FailHere("subscript not supported in a chat template", "one key or one slice");
    }
  }
  tokens_.ExpectOperator("]");
  if (!colon && parts[0] == nullptr) tokens_.FailAt(line, "empty subscript in the chat template");
  if (!colon) return MakeBinary(Op::kGetitem, line, std::move(object), std::move(parts[0]));
  Expr made{.op = Op::kSlice, .line = line};
  made.args.push_back(std::move(object));
  for (ExprPtr& part : parts) made.args.push_back(std::move(part));
  return Make(std::move(made));
}

ExpressionParser::Arguments ExpressionParser::ParseArguments() {
  Arguments made;
  tokens_.ExpectOperator("(");
  bool first = true;
  while (!tokens_.IsOperator(")")) {
    if (!first) tokens_.ExpectOperator(",");
    first = false;
    if (tokens_.IsOperator(")")) break;
    if (tokens_.IsOperator("*") || tokens_.IsOperator("**")) {
      tokens_.FailHere("not supported in a chat template: unpacked arguments", "arguments one by one");
    }
    const bool named =
        tokens_.Is(TokenKind::kName) && tokens_.Ahead().kind == TokenKind::kOperator && tokens_.Ahead().spelling == "=";
    if (named) {
      std::string name = tokens_.Next().spelling;
      tokens_.Next();
      made.named.emplace_back(std::move(name), ParseExpression());
    } else if (!made.named.empty()) {
      tokens_.FailHere("positional argument behind a named one in the chat template");
    } else {
      made.positional.push_back(ParseExpression());
    }
  }
  tokens_.ExpectOperator(")");
  return made;
}

void ExpressionParser::CheckCallee(const Expr& callee) const {
  if (callee.op == Op::kGetattr && IsUnsupportedMethod(callee.name)) {
    tokens_.FailAt(callee.line, "method not supported in a chat template", callee.name + "()");
  }
  if (callee.op == Op::kName && IsUnsupportedGlobal(callee.name)) {
    tokens_.FailAt(callee.line, "function not supported in a chat template", callee.name + "()");
  }
}

ExprPtr ExpressionParser::ParseCall(ExprPtr callee) {
  CheckCallee(*callee);
  Expr made{.op = Op::kCall, .line = tokens_.Current().line};
  Arguments arguments = ParseArguments();
  made.args.push_back(std::move(callee));
  for (ExprPtr& arg : arguments.positional) made.args.push_back(std::move(arg));
  made.named = std::move(arguments.named);
  return Make(std::move(made));
}

ExprPtr ExpressionParser::ParseFilter(ExprPtr input) {
  const int line = tokens_.Current().line;
  Expr made{.op = Op::kFilter, .line = line};
  made.name = tokens_.ExpectAnyName();
  made.filter = FindFilter(made.name);
  if (made.filter == nullptr) tokens_.FailAt(line, "filter not supported in a chat template", made.name);
  made.args.push_back(std::move(input));
  if (tokens_.IsOperator("(")) {
    Arguments arguments = ParseArguments();
    for (ExprPtr& arg : arguments.positional) made.args.push_back(std::move(arg));
    made.named = std::move(arguments.named);
  }
  CheckNamedInside(made);
  return Make(std::move(made));
}

void ExpressionParser::CheckNamedInside(const Expr& filter) const {
  const bool by_attribute = filter.name == "selectattr" || filter.name == "rejectattr";
  const bool test = by_attribute || filter.name == "select" || filter.name == "reject";
  if (!test && filter.name != "map") return;
  const size_t at = by_attribute ? 2 : 1;
  if (filter.args.size() <= at || filter.args[at]->op != Op::kConst) return;
  const Value& named = filter.args[at]->constant;
  if (!named.Is(Kind::kString)) return;
  const std::string name = named.text().Utf8();
  if (test ? FindTest(name) != nullptr : FindFilter(name) != nullptr) return;
  tokens_.FailAt(filter.line, fmt::format("{} not supported in a chat template", test ? "test" : "filter"), name);
}

ExprPtr ExpressionParser::ParseTest(ExprPtr input) {
  const int line = tokens_.Next().line;
  const bool negated = tokens_.SkipName("not");
  Expr made{.op = Op::kTest, .line = line};
  made.name = tokens_.ExpectAnyName();
  made.test = FindTest(made.name);
  if (made.test == nullptr) tokens_.FailAt(line, "test not supported in a chat template", made.name);
  made.args.push_back(std::move(input));
  const TokenKind next = tokens_.Current().kind;
  const bool argument = next == TokenKind::kName || next == TokenKind::kString || next == TokenKind::kInteger ||
                        next == TokenKind::kFloat || tokens_.IsOperator("[") || tokens_.IsOperator("{");
  if (tokens_.IsOperator("(")) {
    Arguments arguments = ParseArguments();
    for (ExprPtr& arg : arguments.positional) made.args.push_back(std::move(arg));
    made.named = std::move(arguments.named);
  } else if (argument && !tokens_.IsName("else") && !tokens_.IsName("or") && !tokens_.IsName("and")) {
    if (tokens_.IsName("is")) tokens_.FailHere("tests in a row in the chat template", "one \"is\"");
    made.args.push_back(ParsePostfix(ParsePrimary()));
  }
  ExprPtr test = Make(std::move(made));
  if (!negated) return test;
  Expr negation{.op = Op::kNot, .line = line};
  negation.args.push_back(std::move(test));
  return Make(std::move(negation));
}

}  // namespace nla::jinja
