// Statements: text, output, and the tags that chat templates use. Tags that reach for other files are refused.
#include "text/jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "text/jinja/expression_parser.h"

namespace nla::jinja {
namespace {

constexpr int kMaxNesting = 100;
constexpr size_t kMaxSource = size_t{1} << 20;

class Parser {
 public:
  Parser(std::string_view source, const std::string& where) : tokens_(source, where), expressions_(tokens_) {}

  Body Run() {
    Body body = ParseBody({});
    if (!tokens_.Is(TokenKind::kEnd)) tokens_.FailHere("unexpected tag in the chat template");
    return body;
  }

 private:
  using Ends = std::initializer_list<std::string_view>;

  // Nodes up to a tag named in `ends`, whose name is then the current token; or to the end of the template when there
  // are none.
  Body ParseBody(Ends ends) {
    if (++nesting_ > kMaxNesting) {
      tokens_.FailHere(fmt::format("the chat template nests tags deeper than {} levels", kMaxNesting));
    }
    const int line = tokens_.Current().line;
    Body body;
    while (!tokens_.Is(TokenKind::kEnd)) {
      if (tokens_.Is(TokenKind::kData)) {
        Node node{.kind = NodeKind::kText, .line = tokens_.Current().line};
        node.text = tokens_.Next().text;
        Add(body, std::move(node));
      } else if (tokens_.Is(TokenKind::kVariableBegin)) {
        Node node{.kind = NodeKind::kOutput, .line = tokens_.Next().line};
        node.exprs.push_back(expressions_.ParseTuple());
        tokens_.Expect(TokenKind::kVariableEnd);
        Add(body, std::move(node));
      } else {
        tokens_.Expect(TokenKind::kBlockBegin);
        if (std::find_if(ends.begin(), ends.end(), [&](auto end) { return tokens_.IsName(end); }) != ends.end()) {
          --nesting_;
          return body;
        }
        Add(body, ParseTag());
      }
    }
    if (ends.size() > 0) {
      tokens_.FailAt(line, "unfinished block in the chat template", "", fmt::format("{{% {} %}}", *(ends.end() - 1)));
    }
    --nesting_;
    return body;
  }

  static void Add(Body& body, Node node) { body.push_back(std::make_unique<const Node>(std::move(node))); }

  // The body of a block that opens after the current "%}" and ends with {% end %}.
  Body ParseBlock(std::string_view end) {
    tokens_.Expect(TokenKind::kBlockEnd);
    Body body = ParseBody({end});
    tokens_.Next();
    tokens_.Expect(TokenKind::kBlockEnd);
    return body;
  }

  Node ParseTag() {
    using Method = Node (Parser::*)(int);
    constexpr std::array<std::pair<std::string_view, Method>, 10> kTags = {{{"if", &Parser::ParseIf},
                                                                            {"for", &Parser::ParseFor},
                                                                            {"set", &Parser::ParseSet},
                                                                            {"macro", &Parser::ParseMacro},
                                                                            {"call", &Parser::ParseCallBlock},
                                                                            {"filter", &Parser::ParseFilterBlock},
                                                                            {"with", &Parser::ParseWith},
                                                                            {"generation", &Parser::ParseGeneration},
                                                                            {"break", &Parser::ParseBreak},
                                                                            {"continue", &Parser::ParseContinue}}};
    const int line = tokens_.Current().line;
    const auto found =
        std::find_if(kTags.begin(), kTags.end(), [&](const auto& tag) { return tokens_.IsName(tag.first); });
    if (found == kTags.end()) {
      tokens_.FailAt(line, "tag not supported in a chat template",
                     fmt::format("{{% {} %}}", DescribeToken(tokens_.Current())));
    }
    tokens_.Next();
    return (this->*found->second)(line);
  }

  Node ParseIf(int line) {
    Node node{.kind = NodeKind::kIf, .line = line};
    while (true) {
      node.exprs.push_back(expressions_.ParseTuple(/*conditional=*/false));
      tokens_.Expect(TokenKind::kBlockEnd);
      node.bodies.push_back(ParseBody({"elif", "else", "endif"}));
      if (!tokens_.SkipName("elif")) break;
    }
    if (tokens_.SkipName("else")) {
      tokens_.Expect(TokenKind::kBlockEnd);
      node.bodies.push_back(ParseBody({"endif"}));
    }
    tokens_.ExpectName("endif");
    tokens_.Expect(TokenKind::kBlockEnd);
    return node;
  }

  Node ParseFor(int line) {
    Node node{.kind = NodeKind::kFor, .line = line};
    node.targets.push_back(ParseTarget(/*with_field=*/false));
    tokens_.ExpectName("in");
    node.exprs.push_back(expressions_.ParseTuple(/*conditional=*/false));
    node.exprs.push_back(tokens_.SkipName("if") ? expressions_.ParseExpression() : nullptr);
    if (tokens_.IsName("recursive")) tokens_.FailAt(line, "not supported in a chat template", "recursive for");
    tokens_.Expect(TokenKind::kBlockEnd);
    ++loops_;
    node.bodies.push_back(ParseBody({"else", "endfor"}));
    --loops_;
    if (tokens_.SkipName("else")) {
      tokens_.Expect(TokenKind::kBlockEnd);
      node.bodies.push_back(ParseBody({"endfor"}));
    }
    tokens_.ExpectName("endfor");
    tokens_.Expect(TokenKind::kBlockEnd);
    return node;
  }

  Target ParseOneTarget(bool with_field) {
    Target target;
    if (tokens_.SkipOperator("(")) {
      target = ParseTarget(false);
      tokens_.ExpectOperator(")");
      return target;
    }
    target.name = tokens_.ExpectAnyName();
    if (with_field && tokens_.SkipOperator(".")) {
      target.form = Target::Form::kField;
      target.field = tokens_.ExpectAnyName();
    }
    constexpr std::array<std::string_view, 7> kReserved = {"true", "false", "none", "True", "False", "None", "loop"};
    if (std::find(kReserved.begin(), kReserved.end(), target.name) != kReserved.end()) {
      tokens_.FailAt(tokens_.Current().line, "the chat template assigns to a reserved name", target.name);
    }
    return target;
  }

  Target ParseTarget(bool with_field) {
    Target first = ParseOneTarget(with_field);
    if (!tokens_.IsOperator(",")) return first;
    Target target;
    target.form = Target::Form::kTuple;
    target.parts.push_back(std::move(first));
    while (tokens_.SkipOperator(",")) {
      if (tokens_.IsName("in") || !(tokens_.Is(TokenKind::kName) || tokens_.IsOperator("("))) break;
      target.parts.push_back(ParseOneTarget(with_field));
    }
    return target;
  }

  Node ParseSet(int line) {
    Node node{.kind = NodeKind::kSet, .line = line};
    node.targets.push_back(ParseTarget(/*with_field=*/true));
    if (tokens_.SkipOperator("=")) {
      node.exprs.push_back(expressions_.ParseTuple());
      tokens_.Expect(TokenKind::kBlockEnd);
      return node;
    }
    node.kind = NodeKind::kSetBlock;
    node.exprs.push_back(tokens_.SkipOperator("|") ? expressions_.ParseFilterChain() : nullptr);
    node.bodies.push_back(ParseInScope("endset"));
    return node;
  }

  // A block whose text is gathered or whose body is a function: no loop around it can be left from inside.
  Body ParseInScope(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Body body = ParseBlock(end);
    loops_ = loops;
    return body;
  }

  void ParseParameters(MacroNode& macro) {
    tokens_.ExpectOperator("(");
    while (!tokens_.IsOperator(")")) {
      if (!macro.parameters.empty()) tokens_.ExpectOperator(",");
      const int line = tokens_.Current().line;
      std::string name = tokens_.ExpectAnyName();
      ExprPtr value = tokens_.SkipOperator("=") ? expressions_.ParseExpression() : nullptr;
      if (value == nullptr && !macro.parameters.empty() && macro.parameters.back().second != nullptr) {
        tokens_.FailAt(line, "a macro's parameter without default behind one with it", name);
      }
      macro.parameters.emplace_back(std::move(name), std::move(value));
    }
    tokens_.ExpectOperator(")");
  }

  void ParseMacroBody(MacroNode& macro, std::string_view end) {
    MacroNode* const outer = expressions_.macro();
    expressions_.SetMacro(&macro);
    macro.body = ParseInScope(end);
    expressions_.SetMacro(outer);
  }

  Node ParseMacro(int line) {
    Node node{.kind = NodeKind::kMacro, .line = line};
    node.macro = std::make_unique<MacroNode>();
    node.macro->name = tokens_.ExpectAnyName();
    ParseParameters(*node.macro);
    ParseMacroBody(*node.macro, "endmacro");
    return node;
  }

  Node ParseCallBlock(int line) {
    Node node{.kind = NodeKind::kCallBlock, .line = line};
    node.macro = std::make_unique<MacroNode>();
    node.macro->name = "caller";
    if (tokens_.IsOperator("(")) ParseParameters(*node.macro);
    node.exprs.push_back(expressions_.ParseExpression());
    if (node.exprs[0]->op != Op::kCall) tokens_.FailAt(line, "a call block of the chat template calls nothing");
    ParseMacroBody(*node.macro, "endcall");
    return node;
  }

  Node ParseFilterBlock(int line) {
    Node node{.kind = NodeKind::kFilterBlock, .line = line};
    node.exprs.push_back(expressions_.ParseFilterChain());
    node.bodies.push_back(ParseInScope("endfilter"));
    return node;
  }

  Node ParseWith(int line) {
    Node node{.kind = NodeKind::kWith, .line = line};
    while (!tokens_.Is(TokenKind::kBlockEnd)) {
      if (!node.targets.empty()) tokens_.ExpectOperator(",");
      node.targets.push_back(ParseOneTarget(/*with_field=*/false));
      tokens_.ExpectOperator("=");
      node.exprs.push_back(expressions_.ParseExpression());
    }
    node.bodies.push_back(ParseBlock("endwith"));
    return node;
  }

  // Marks what the assistant says, for training masks; here a scope like any other.
  Node ParseGeneration(int line) {
    Node node{.kind = NodeKind::kScope, .line = line};
    node.bodies.push_back(ParseInScope("endgeneration"));
    return node;
  }

  Node ParseLoopControl(int line, NodeKind kind, const std::string& name) {
    if (loops_ == 0) tokens_.FailAt(line, "the chat template leaves a loop where there is none", name);
    tokens_.Expect(TokenKind::kBlockEnd);
    return {.kind = kind, .line = line};
  }
  Node ParseBreak(int line) { return ParseLoopControl(line, NodeKind::kBreak, "break"); }
  Node ParseContinue(int line) { return ParseLoopControl(line, NodeKind::kContinue, "continue"); }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int nesting_ = 0;
  int loops_ = 0;  // that break and continue may leave here
};

}  // namespace

Body ParseTemplate(std::string_view source, const std::string& where) {
  if (source.size() > kMaxSource) {
    FailAtLine(where, 1, "the chat template is too large", fmt::format("{} bytes", source.size()),
               fmt::format("at most {}", kMaxSource));
  }
  return Parser(source, where).Run();
}

}  // namespace nla::jinja
