// Statements: output, branches, loops, assignments and blocks that gather text.
#include "text/jinja/interpreter.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/operators.h"

namespace nla::jinja {

Text Interpreter::Run(const Body& body, const std::vector<std::pair<std::string, Value>>& variables) {
  Scope& globals = context_.NewScope(nullptr);
  for (const auto& [name, value] : variables) globals.Set(name, value);
  Scope& root = context_.NewScope(&globals);
  Text out;
  ExecuteBlock(body, root, out);
  return out;
}

Interpreter::Flow Interpreter::ExecuteBlock(const Body& body, Scope& scope, Text& out) {
  if (const auto own = own_names_.find(&body); own != own_names_.end()) {
    context_.ChargeSize(own->second.size() * own->second.size());
    for (const std::string& name : own->second) {
      scope.Set(name, Value::Undefined(fmt::format("'{}' is undefined", name)));
    }
  }
  return Execute(body, scope, out);
}

Interpreter::Flow Interpreter::Execute(const Body& body, Scope& scope, Text& out) {
  const Context::Level level(context_);
  for (const auto& node : body) {
    const Flow flow = ExecuteNode(*node, scope, out);
    if (flow != Flow::kOn) return flow;
  }
  return Flow::kOn;
}

void Interpreter::Print(const Value& value, Text& out) {
  const Text text = ToText(context_, value);
  const auto total = static_cast<int64_t>(out.size() + text.size());
  if (total > context_.limits().text) context_.ReserveText(total);
  out.Append(text);
}

Interpreter::Flow Interpreter::ExecuteNode(const Node& node, Scope& scope, Text& out) {
  context_.SetLine(node.line);
  context_.Charge();
  switch (node.kind) {
    case NodeKind::kText:
      Print(Value::String(node.text), out);
      break;
    case NodeKind::kOutput:
      Print(Evaluate(*node.exprs[0], scope), out);
      break;
    case NodeKind::kIf:
      return ExecuteIf(node, scope, out);
    case NodeKind::kFor:
      return ExecuteFor(node, scope, out);
    case NodeKind::kSet:
      Assign(node.targets[0], Evaluate(*node.exprs[0], scope), scope);
      break;
    case NodeKind::kSetBlock: {
      const Text text = Gather(node.bodies[0], scope);
      filter_input_ = &text;
      Value value = node.exprs[0] == nullptr ? context_.String(text) : Evaluate(*node.exprs[0], scope);
      Assign(node.targets[0], value, scope);
      break;
    }
    case NodeKind::kMacro:
      scope.Keep();
      scope.Set(
          node.macro->name,
          Value::Of(std::make_shared<const Callable>(Callable{
              .form = Callable::Form::kMacro, .name = node.macro->name, .macro = node.macro.get(), .scope = &scope})));
      break;
    case NodeKind::kCallBlock:
      ExecuteCallBlock(node, scope, out);
      break;
    case NodeKind::kFilterBlock: {
      const Text text = Gather(node.bodies[0], scope);
      filter_input_ = &text;
      Print(Evaluate(*node.exprs[0], scope), out);
      break;
    }
    case NodeKind::kWith:
      return ExecuteWith(node, scope, out);
    case NodeKind::kScope: {
      Scope& inner = context_.NewScope(&scope);
      ExecuteBlock(node.bodies[0], inner, out);
      context_.Leave(inner);
      break;
    }
    case NodeKind::kBreak:
      return Flow::kBreak;
    case NodeKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kOn;
}

Interpreter::Flow Interpreter::ExecuteIf(const Node& node, Scope& scope, Text& out) {
  for (size_t i = 0; i < node.exprs.size(); ++i) {
    if (Evaluate(*node.exprs[i], scope).Truth()) return Execute(node.bodies[i], scope, out);
  }
  return node.bodies.size() > node.exprs.size() ? Execute(node.bodies.back(), scope, out) : Flow::kOn;
}

// The items to go over: those that pass the loop's own filter.
Values Interpreter::LoopItems(const Node& node, Scope& scope) {
  Values items = ItemsOf(context_, Evaluate(*node.exprs[0], scope));
  if (node.exprs[1] == nullptr) return items;
  Values kept;
  for (Value& item : items) {
    Scope& inner = context_.NewScope(&scope);
    Assign(node.targets[0], item, inner);
    if (Evaluate(*node.exprs[1], inner).Truth()) kept.push_back(std::move(item));
    context_.Leave(inner);
  }
  return kept;
}

Interpreter::Flow Interpreter::ExecuteFor(const Node& node, Scope& scope, Text& out) {
  const auto loop = std::make_shared<LoopState>();
  loop->items = LoopItems(node, scope);
  for (const Value& item : loop->items) loop->item_depth = std::max(loop->item_depth, item.Depth());
  Flow flow = Flow::kOn;
  bool completed = false;  // an iteration ran to its end: Jinja's else asks for that
  for (loop->index = 0; loop->index < loop->items.size() && flow != Flow::kBreak; ++loop->index) {
    Scope& inner = context_.NewScope(&scope);
    inner.Set("loop", Value::Of(std::shared_ptr<const LoopState>(loop)));
    Assign(node.targets[0], loop->items[loop->index], inner);
    flow = ExecuteBlock(node.bodies[0], inner, out);
    completed |= flow == Flow::kOn;
    context_.Leave(inner);
  }
  if (!completed && node.bodies.size() > 1) {
    Scope& inner = context_.NewScope(&scope);
    flow = ExecuteBlock(node.bodies[1], inner, out);
    context_.Leave(inner);
    return flow;
  }
  return Flow::kOn;
}

Interpreter::Flow Interpreter::ExecuteWith(const Node& node, Scope& scope, Text& out) {
  Scope& inner = context_.NewScope(&scope);
  for (size_t i = 0; i < node.targets.size(); ++i) {
    const Value value = Evaluate(*node.exprs[i], scope);
    Assign(node.targets[i], value, inner);
  }
  const Flow flow = ExecuteBlock(node.bodies[0], inner, out);
  context_.Leave(inner);
  return flow;
}

void Interpreter::ExecuteCallBlock(const Node& node, Scope& scope, Text& out) {
  const Expr& call = *node.exprs[0];
  scope.Keep();
  const Value caller = Value::Of(std::make_shared<const Callable>(
      Callable{.form = Callable::Form::kMacro, .name = node.macro->name, .macro = node.macro.get(), .scope = &scope}));
  const Value callee = Evaluate(*call.args[0], scope);
  const CallArgs args = EvaluateCallArgs(call, scope);
  CheckDefined(context_, callee);
  if (!callee.Is(Kind::kCallable) || callee.callable().form != Callable::Form::kMacro) {
    context_.Raise("a call block of the chat template calls what is no macro", std::string(callee.TypeName()));
  }
  Print(CallMacro(callee.callable(), args, &caller), out);
}

Text Interpreter::Gather(const Body& body, Scope& scope) {
  Text text;
  Scope& inner = context_.NewScope(&scope);
  ExecuteBlock(body, inner, text);
  context_.Leave(inner);
  return text;
}

void Interpreter::Assign(const Target& target, const Value& value, Scope& scope) {
  context_.ChargeSize(scope.size());
  if (target.form == Target::Form::kName) return scope.Set(target.name, value);
  if (target.form == Target::Form::kField) {
    size_t scanned = 0;
    const Value* space = scope.Find(target.name, scanned);
    context_.ChargeSize(scanned);
    if (space == nullptr || !space->Is(Kind::kNamespace)) {
      context_.Raise("the chat template assigns to a field of what is no namespace", target.name, "namespace()");
    }
    CheckFieldName(context_, target.field);
    context_.ChargeSize(space->space().fields.size());
    for (auto& [field, old] : space->space().fields) {
      if (field == target.field) {
        old = value;
        return;
      }
    }
    space->space().fields.emplace_back(target.field, value);
    return;
  }
  CheckDefined(context_, value);
  const Values items = ItemsOf(context_, value);
  if (items.size() != target.parts.size()) {
    context_.Raise("the chat template unpacks the wrong number of values", std::to_string(items.size()),
                   std::to_string(target.parts.size()));
  }
  for (size_t i = 0; i < items.size(); ++i) Assign(target.parts[i], items[i], scope);
}

}  // namespace nla::jinja
