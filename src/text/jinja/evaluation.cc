// Expressions, and calls of macros, methods and functions.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"

namespace nla::jinja {

Value Interpreter::Evaluate(const Expr& expr, Scope& scope) {
  const Context::Level level(context_);
  context_.SetLine(expr.line);
  context_.Charge();
  const auto arg = [&](size_t i) { return Evaluate(*expr.args[i], scope); };
  switch (expr.op) {
    case Op::kConst:
      return expr.constant;
    case Op::kName:
      return EvaluateName(expr, scope);
    case Op::kList:
      return context_.NewList(EvaluateArgs(expr, 0, scope));
    case Op::kTuple:
      return context_.NewTuple(EvaluateArgs(expr, 0, scope));
    case Op::kDict:
      return EvaluateDict(expr, scope);
    case Op::kGetattr:
      return GetAttribute(context_, arg(0), expr.constant.text());
    case Op::kGetitem: {
      const Value object = arg(0);
      return GetItem(context_, object, arg(1));
    }
    case Op::kSlice:
      return EvaluateSlice(expr, scope);
    case Op::kCall: {
      const Value callee = arg(0);
      const CallArgs args = EvaluateCallArgs(expr, scope);
      context_.SetLine(expr.line);
      return Call(callee, args);
    }
    case Op::kFilter:
      return EvaluateFilter(expr, scope);
    case Op::kTest: {
      const Value input = arg(0);
      return Value::Bool(expr.test->run(context_, input, EvaluateCallArgs(expr, scope)));
    }
    case Op::kConditional:
      return EvaluateConditional(expr, scope);
    case Op::kNot:
      return Value::Bool(!arg(0).Truth());
    case Op::kNegative:
    case Op::kPositive:
      return EvaluateSign(expr, scope);
    case Op::kAnd:
    case Op::kOr: {
      Value left = arg(0);
      return left.Truth() == (expr.op == Op::kOr) ? left : arg(1);
    }
    case Op::kConcat:
      return EvaluateConcat(expr, scope);
    case Op::kCompare:
      return EvaluateCompare(expr, scope);
    default: {
      const Value left = arg(0);
      const Value right = arg(1);
      return Arithmetic(context_, expr.op, left, right);
    }
  }
}

Value Interpreter::EvaluateName(const Expr& expr, const Scope& scope) {
  size_t scanned = 0;
  const Value* found = scope.Find(expr.name, scanned);
  context_.ChargeSize(scanned);
  if (found != nullptr) return *found;
  if (FindFunction(expr.name) != nullptr) {
    return Value::Of(std::make_shared<const Callable>(Callable{.form = Callable::Form::kGlobal, .name = expr.name}));
  }
  return Value::Undefined(fmt::format("'{}' is undefined", expr.name));
}

Values Interpreter::EvaluateArgs(const Expr& expr, size_t begin, Scope& scope) {
  Values values;
  for (size_t i = begin; i < expr.args.size(); ++i) values.push_back(Evaluate(*expr.args[i], scope));
  return values;
}

CallArgs Interpreter::EvaluateCallArgs(const Expr& expr, Scope& scope) {
  CallArgs args{.positional = EvaluateArgs(expr, 1, scope), .named = {}};
  for (const auto& [name, value] : expr.named) args.named.emplace_back(name, Evaluate(*value, scope));
  return args;
}

Value Interpreter::EvaluateDict(const Expr& expr, Scope& scope) {
  std::vector<DictEntry> entries;
  for (size_t i = 0; i + 1 < expr.args.size(); i += 2) {
    Value key = Evaluate(*expr.args[i], scope);
    Value value = Evaluate(*expr.args[i + 1], scope);
    if (!IsHashable(key)) context_.Raise("cannot be a key", std::string(key.TypeName()));
    const auto same = std::find_if(entries.begin(), entries.end(),
                                   [&](const DictEntry& entry) { return Equal(context_, entry.key, key); });
    if (same != entries.end()) {
      same->value = std::move(value);
    } else {
      entries.push_back({std::move(key), std::move(value)});
    }
  }
  return context_.NewDict(std::move(entries));
}

Value Interpreter::EvaluateSlice(const Expr& expr, Scope& scope) {
  const Value object = Evaluate(*expr.args[0], scope);
  Values bounds(3, Value::None());
  for (size_t i = 0; i < bounds.size(); ++i) {
    if (expr.args[i + 1] != nullptr) bounds[i] = Evaluate(*expr.args[i + 1], scope);
  }
  return GetSlice(context_, object, &bounds[0], &bounds[1], &bounds[2]);
}

Value Interpreter::EvaluateFilter(const Expr& expr, Scope& scope) {
  const Value input = expr.args[0] == nullptr ? context_.String(*filter_input_) : Evaluate(*expr.args[0], scope);
  const CallArgs args = EvaluateCallArgs(expr, scope);
  context_.SetLine(expr.line);
  if (input.Is(Kind::kString)) context_.ChargeSize(input.text().size());
  return expr.filter->run(context_, input, args);
}

Value Interpreter::EvaluateConditional(const Expr& expr, Scope& scope) {
  if (Evaluate(*expr.args[0], scope).Truth()) return Evaluate(*expr.args[1], scope);
  if (expr.args[2] != nullptr) return Evaluate(*expr.args[2], scope);
  return Value::Undefined("the inline if-expression evaluated to false and no else section was defined");
}

Value Interpreter::EvaluateConcat(const Expr& expr, Scope& scope) {
  Text text;
  for (const ExprPtr& part : expr.args) {
    const Text next = ToText(context_, Evaluate(*part, scope));
    context_.ReserveText(static_cast<int64_t>(text.size() + next.size()));
    text.Append(next);
  }
  return Value::String(std::move(text));
}

Value Interpreter::EvaluateCompare(const Expr& expr, Scope& scope) {
  Value left = Evaluate(*expr.args[0], scope);
  for (size_t i = 0; i < expr.compares.size(); ++i) {
    Value right = Evaluate(*expr.args[i + 1], scope);
    if (!Compare(context_, expr.compares[i], left, right)) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

Value Interpreter::EvaluateSign(const Expr& expr, Scope& scope) {
  const Value value = Evaluate(*expr.args[0], scope);
  const Value negative = Negative(context_, value);
  return expr.op == Op::kNegative ? negative : Negative(context_, negative);
}

Value Interpreter::Call(const Value& callee, const CallArgs& args) {
  CheckDefined(context_, callee);
  if (!callee.Is(Kind::kCallable)) {
    context_.Raise("the chat template calls what is no function", std::string(callee.TypeName()));
  }
  const Callable& callable = callee.callable();
  switch (callable.form) {
    case Callable::Form::kMacro:
      return CallMacro(callable, args, nullptr);
    case Callable::Form::kGlobal:
      return FindFunction(callable.name)->run(context_, args);
    case Callable::Form::kMethod:
      return CallMethod(callable, args);
  }
  return Value();
}

Value Interpreter::CallMethod(const Callable& callable, const CallArgs& args) {
  if (callable.self.Is(Kind::kLoop)) {  // loop.cycle, the one method of loops
    if (args.positional.empty()) context_.Raise("loop.cycle() has no items to cycle through");
    return args.positional[callable.self.loop().index % args.positional.size()];
  }
  if (callable.self.Is(Kind::kString)) context_.ChargeSize(callable.self.text().size());
  constexpr std::array<std::string_view, 4> kNaming = {"split", "rsplit", "splitlines", "format"};
  if (!args.named.empty() && std::find(kNaming.begin(), kNaming.end(), callable.name) == kNaming.end()) {
    context_.Raise(fmt::format("{}() takes no named arguments", callable.name), args.named[0].first);
  }
  return FindMethod(callable.self, callable.name)->run(context_, callable.self, args);
}

void Interpreter::BindMacroArgs(const MacroNode& macro, const CallArgs& args, Scope& scope) {
  std::vector<bool> used(args.named.size(), false);
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    const auto& [name, fallback] = macro.parameters[i];
    const Value* given = i < args.positional.size() ? &args.positional[i] : nullptr;
    for (size_t k = 0; k < args.named.size(); ++k) {
      if (args.named[k].first != name) continue;
      if (given != nullptr) context_.Raise(fmt::format("macro '{}' has an argument twice", macro.name), name);
      given = &args.named[k].second;
      used[k] = true;
    }
    Value value = given != nullptr      ? *given
                  : fallback != nullptr ? Evaluate(*fallback, scope)
                                        : Value::Undefined(fmt::format("parameter '{}' was not provided", name));
    scope.Set(name, std::move(value));
  }
  Values varargs;
  for (size_t i = macro.parameters.size(); i < args.positional.size(); ++i) varargs.push_back(args.positional[i]);
  std::vector<DictEntry> kwargs;
  for (size_t k = 0; k < args.named.size(); ++k) {
    if (!used[k]) kwargs.push_back({context_.String(args.named[k].first, Origin::kTemplate), args.named[k].second});
  }
  if (!varargs.empty() && !macro.uses_varargs) {
    context_.Raise(fmt::format("macro '{}' has too many arguments", macro.name), std::to_string(args.positional.size()),
                   fmt::format("at most {}", macro.parameters.size()));
  }
  if (!kwargs.empty() && !macro.uses_kwargs) {
    context_.Raise(fmt::format("macro '{}' has an argument that is not known", macro.name),
                   kwargs[0].key.text().Utf8());
  }
  if (macro.uses_varargs) scope.Set("varargs", context_.NewTuple(std::move(varargs)));
  if (macro.uses_kwargs) scope.Set("kwargs", context_.NewDict(std::move(kwargs)));
}

Value Interpreter::CallMacro(const Callable& callable, const CallArgs& args, const Value* caller) {
  const Context::Level level(context_);
  const MacroNode& macro = *callable.macro;
  if (caller != nullptr && !macro.uses_caller) {
    context_.Raise(fmt::format("macro '{}' does not call its caller", macro.name));
  }
  Scope& scope = context_.NewScope(callable.scope);
  if (macro.uses_caller) scope.Set("caller", caller != nullptr ? *caller : Value::Undefined("No caller defined"));
  BindMacroArgs(macro, args, scope);
  Text text;
  ExecuteBlock(macro.body, scope, text);
  context_.Leave(scope);
  return context_.String(std::move(text));
}

}  // namespace nla::jinja
