// Jinja's expression grammar by recursive descent; depth is bounded, so that neither parsing nor evaluation can exhaust
// the stack.
#include "text/jinja/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "text/jinja/builtins.h"

namespace nla::jinja {
namespace {

constexpr int kMaxDepth = 200;

struct BinaryOp {
  std::string_view spelling;
  Op op;
  int level;
};
// Left-associative, the loosest first. Level 2 is left to "not", comparisons and "~" lie between 3 and 4.
constexpr std::array<BinaryOp, 8> kBinaryOps = {{{"or", Op::kOr, 0},
                                                 {"and", Op::kAnd, 1},
                                                 {"+", Op::kAdd, 3},
                                                 {"-", Op::kSubtract, 3},
                                                 {"*", Op::kMultiply, 5},
                                                 {"/", Op::kDivide, 5},
                                                 {"//", Op::kFloorDivide, 5},
                                                 {"%", Op::kModulo, 5}}};
constexpr int kNotLevel = 2;
constexpr int kConcatLevel = 4;
constexpr int kPowerLevel = 6;

ExprPtr Null() { return nullptr; }

}  // namespace

class ExpressionParser::Nested {
 public:
  explicit Nested(ExpressionParser& parser) : parser_(parser) {
    if (++parser_.nesting_ > kMaxDepth) {
      parser_.tokens_.FailHere(fmt::format("the chat template nests expressions deeper than {} levels", kMaxDepth));
    }
  }
  ~Nested() { --parser_.nesting_; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  ExpressionParser& parser_;
};

ExprPtr ExpressionParser::Make(Expr expr) const {
  for (const ExprPtr& arg : expr.args) expr.depth = std::max(expr.depth, arg ? arg->depth + 1 : 1);
  for (const auto& [name, arg] : expr.named) expr.depth = std::max(expr.depth, arg->depth + 1);
  if (expr.depth > kMaxDepth) {
    tokens_.FailAt(expr.line, fmt::format("the chat template nests expressions deeper than {} levels", kMaxDepth));
  }
  return std::make_unique<const Expr>(std::move(expr));
}

ExprPtr ExpressionParser::MakeBinary(Op op, int line, ExprPtr left, ExprPtr right) const {
  Expr made{.op = op, .line = line};
  made.args.push_back(std::move(left));
  made.args.push_back(std::move(right));
  return Make(std::move(made));
}

ExprPtr ExpressionParser::ParseExpression(bool conditional) {
  const Nested nested(*this);
  return conditional ? ParseConditional() : ParseBinary(0);
}

ExprPtr ExpressionParser::ParseConditional() {
  ExprPtr expr = ParseBinary(0);
  while (tokens_.IsName("if")) {
    Expr made{.op = Op::kConditional, .line = tokens_.Next().line};
    made.args.push_back(ParseBinary(0));
    made.args.push_back(std::move(expr));
    made.args.push_back(tokens_.SkipName("else") ? ParseExpression() : Null());
    expr = Make(std::move(made));
  }
  return expr;
}

ExprPtr ExpressionParser::ParseBinary(int level) {
  if (level == kNotLevel) return ParseNot();
  if (level == kConcatLevel) return ParseConcat();
  if (level == kPowerLevel) return ParsePower();
  ExprPtr left = ParseBinary(level + 1);
  while (true) {
    const auto found = std::find_if(kBinaryOps.begin(), kBinaryOps.end(), [&](const BinaryOp& candidate) {
      return candidate.level == level &&
             (tokens_.IsOperator(candidate.spelling) || (level < kNotLevel && tokens_.IsName(candidate.spelling)));
    });
    if (found == kBinaryOps.end()) return left;
    const int line = tokens_.Next().line;
    left = MakeBinary(found->op, line, std::move(left), ParseBinary(level + 1));
  }
}

ExprPtr ExpressionParser::ParseNot() {
  if (!tokens_.IsName("not")) return ParseCompare();
  const Nested nested(*this);
  Expr made{.op = Op::kNot, .line = tokens_.Next().line};
  made.args.push_back(ParseNot());
  return Make(std::move(made));
}

ExprPtr ExpressionParser::ParseCompare() {
  constexpr std::array<std::pair<std::string_view, CompareOp>, 6> kCompares = {{{"==", CompareOp::kEqual},
                                                                                {"!=", CompareOp::kNotEqual},
                                                                                {"<", CompareOp::kLess},
                                                                                {"<=", CompareOp::kLessEqual},
                                                                                {">", CompareOp::kGreater},
                                                                                {">=", CompareOp::kGreaterEqual}}};
  Expr made{.op = Op::kCompare, .line = tokens_.Current().line};
  made.args.push_back(ParseBinary(kNotLevel + 1));
  while (true) {
    const auto found = std::find_if(kCompares.begin(), kCompares.end(),
                                    [&](const auto& candidate) { return tokens_.IsOperator(candidate.first); });
    if (found != kCompares.end()) {
      tokens_.Next();
      made.compares.push_back(found->second);
    } else if (tokens_.SkipName("in")) {
      made.compares.push_back(CompareOp::kIn);
    } else if (tokens_.IsName("not") && tokens_.Ahead().kind == TokenKind::kName && tokens_.Ahead().spelling == "in") {
      tokens_.Next();
      tokens_.Next();
      made.compares.push_back(CompareOp::kNotIn);
    } else {
      break;
    }
    made.args.push_back(ParseBinary(kNotLevel + 1));
  }
  return made.compares.empty() ? std::move(made.args[0]) : Make(std::move(made));
}

ExprPtr ExpressionParser::ParseConcat() {
  Expr made{.op = Op::kConcat, .line = tokens_.Current().line};
  made.args.push_back(ParseBinary(kConcatLevel + 1));
  while (tokens_.SkipOperator("~")) made.args.push_back(ParseBinary(kConcatLevel + 1));
  return made.args.size() == 1 ? std::move(made.args[0]) : Make(std::move(made));
}

ExprPtr ExpressionParser::ParsePower() {
  ExprPtr left = ParseUnary();
  while (tokens_.IsOperator("**")) {
    const int line = tokens_.Next().line;
    left = MakeBinary(Op::kPower, line, std::move(left), ParseUnary());
  }
  return left;
}

ExprPtr ExpressionParser::ParseUnary(bool with_filters) {
  ExprPtr expr;
  if (tokens_.IsOperator("-") || tokens_.IsOperator("+")) {
    const Nested nested(*this);
    const Token sign = tokens_.Next();
    Expr made{.op = sign.spelling == "-" ? Op::kNegative : Op::kPositive, .line = sign.line};
    made.args.push_back(ParseUnary(false));
    expr = Make(std::move(made));
  } else {
    expr = ParsePrimary();
  }
  expr = ParsePostfix(std::move(expr));
  return with_filters ? ParseFilters(std::move(expr)) : std::move(expr);
}

ExprPtr ExpressionParser::ParsePrimary() {
  const Token& token = tokens_.Current();
  switch (token.kind) {
    case TokenKind::kName:
      return ParseName();
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return ParseNumber();
    case TokenKind::kString: {
      const int line = token.line;
      Text text;
      while (tokens_.Is(TokenKind::kString)) text.Append(tokens_.Next().text);
      return Make({.op = Op::kConst, .line = line, .constant = Value::String(std::move(text))});
    }
    default:
      if (tokens_.IsOperator("(")) return ParseParenthesized();
      if (tokens_.IsOperator("[")) return ParseList();
      if (tokens_.IsOperator("{")) return ParseDict();
      tokens_.FailHere("unexpected token in the chat template", "an expression");
  }
}

ExprPtr ExpressionParser::ParseName() {
  const Token token = tokens_.Next();
  const std::string& name = token.spelling;
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    return Make({.op = Op::kConst, .line = token.line, .constant = Value::Bool(name[0] == 't' || name[0] == 'T')});
  }
  if (name == "none" || name == "None") return Make({.op = Op::kConst, .line = token.line, .constant = Value::None()});
  if (macro_ != nullptr) {
    macro_->uses_varargs |= name == "varargs";
    macro_->uses_kwargs |= name == "kwargs";
    macro_->uses_caller |= name == "caller";
  }
  return Make({.op = Op::kName, .line = token.line, .name = name});
}

ExprPtr ExpressionParser::ParseNumber() {
  const Token token = tokens_.Next();
  const char* begin = token.spelling.data();
  const char* end = begin + token.spelling.size();
  if (token.kind == TokenKind::kFloat) {
    double value = 0;
    std::from_chars(begin, end, value);
    return Make({.op = Op::kConst, .line = token.line, .constant = Value::Float(value)});
  }
  int64_t value = 0;
  if (std::from_chars(begin, end, value).ec != std::errc()) {
    tokens_.FailAt(token.line, "integer out of range in the chat template", token.spelling, "one of 64 bits");
  }
  return Make({.op = Op::kConst, .line = token.line, .constant = Value::Int(value)});
}

ExprPtr ExpressionParser::ParseParenthesized() {
  const Nested nested(*this);
  const int line = tokens_.Next().line;
  if (tokens_.SkipOperator(")")) return Make({.op = Op::kTuple, .line = line});
  ExprPtr expr = ParseTuple();
  tokens_.ExpectOperator(")");
  return expr;
}

ExprPtr ExpressionParser::ParseTuple(bool conditional) {
  ExprPtr first = ParseExpression(conditional);
  if (!tokens_.IsOperator(",")) return first;
  Expr made{.op = Op::kTuple, .line = first->line};
  made.args.push_back(std::move(first));
  while (tokens_.SkipOperator(",")) {
    const bool ended = tokens_.Is(TokenKind::kVariableEnd) || tokens_.Is(TokenKind::kBlockEnd) ||
                       tokens_.IsOperator(")") || tokens_.IsName("recursive");
    if (ended) break;
    made.args.push_back(ParseExpression(conditional));
  }
  return Make(std::move(made));
}

ExprPtr ExpressionParser::ParseList() {
  Expr made{.op = Op::kList, .line = tokens_.Next().line};
  while (!tokens_.IsOperator("]")) {
    if (!made.args.empty()) tokens_.ExpectOperator(",");
    if (tokens_.IsOperator("]")) break;
    made.args.push_back(ParseExpression());
  }
  tokens_.ExpectOperator("]");
  return Make(std::move(made));
}

ExprPtr ExpressionParser::ParseDict() {
  Expr made{.op = Op::kDict, .line = tokens_.Next().line};
  while (!tokens_.IsOperator("}")) {
    if (!made.args.empty()) tokens_.ExpectOperator(",");
    if (tokens_.IsOperator("}")) break;
    made.args.push_back(ParseExpression());
    tokens_.ExpectOperator(":");
    made.args.push_back(ParseExpression());
  }
  tokens_.ExpectOperator("}");
  return Make(std::move(made));
}

}  // namespace nla::jinja
