// Runs the tree of a template.
#pragma once

#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/builtins.h"
#include "text/jinja/context.h"
#include "text/jinja/scoping.h"

namespace nla::jinja {

class Interpreter {
 public:
  Interpreter(Context& context, const OwnNames& own_names) : context_(context), own_names_(own_names) {}

  Text Run(const Body& body, const std::vector<std::pair<std::string, Value>>& variables);

 private:
  enum class Flow : uint8_t { kOn, kBreak, kContinue };

  // Runs a block in the scope made for it.
  Flow ExecuteBlock(const Body& body, Scope& scope, Text& out);
  // Appends what the nodes print.
  Flow Execute(const Body& body, Scope& scope, Text& out);
  Flow ExecuteNode(const Node& node, Scope& scope, Text& out);
  Flow ExecuteIf(const Node& node, Scope& scope, Text& out);
  Flow ExecuteFor(const Node& node, Scope& scope, Text& out);
  Flow ExecuteWith(const Node& node, Scope& scope, Text& out);
  void ExecuteCallBlock(const Node& node, Scope& scope, Text& out);
  Values LoopItems(const Node& node, Scope& scope);
  // The text of a body in a scope of its own.
  Text Gather(const Body& body, Scope& scope);
  void Assign(const Target& target, const Value& value, Scope& scope);
  void Print(const Value& value, Text& out);

  Value Evaluate(const Expr& expr, Scope& scope);
  Value EvaluateName(const Expr& expr, const Scope& scope);
  Value EvaluateDict(const Expr& expr, Scope& scope);
  Value EvaluateSlice(const Expr& expr, Scope& scope);
  Value EvaluateFilter(const Expr& expr, Scope& scope);
  Value EvaluateConditional(const Expr& expr, Scope& scope);
  Value EvaluateConcat(const Expr& expr, Scope& scope);
  Value EvaluateCompare(const Expr& expr, Scope& scope);
  Value EvaluateSign(const Expr& expr, Scope& scope);
  Values EvaluateArgs(const Expr& expr, size_t begin, Scope& scope);
  CallArgs EvaluateCallArgs(const Expr& expr, Scope& scope);

  Value Call(const Value& callee, const CallArgs& args);
  Value CallMethod(const Callable& callable, const CallArgs& args);
  // Runs the macro's body with `args`; `caller` is what caller() calls, or null.
  Value CallMacro(const Callable& callable, const CallArgs& args, const Value* caller);
  void BindMacroArgs(const MacroNode& macro, const CallArgs& args, Scope& scope);

  Context& context_;
  const OwnNames& own_names_;
  const Text* filter_input_ = nullptr;  // the text that a filter block's innermost filter takes
};

}  // namespace nla::jinja
