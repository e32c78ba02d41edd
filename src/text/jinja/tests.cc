// What may follow "is", and names the checks of select and its like.
#include <algorithm>
#include <array>
#include <cmath>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

template <Kind kKind>
bool IsKind(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "this test", args, {});
  return input.Is(kKind);
}

bool Defined(Context& context, const Value& input, const CallArgs& args) {
  return !IsKind<Kind::kUndefined>(context, input, args);
}

template <bool kValue>
bool IsBool(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "this test", args, {});
  return input.Is(Kind::kBool) && input.boolean() == kValue;
}

bool Number(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "number", args, {});
  return input.IsNumber();
}

bool IsSequence(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "sequence", args, {});
  return input.Is(Kind::kString) || input.Is(Kind::kDict) || input.Is(Kind::kUndefined) ||
         (input.Is(Kind::kSequence) && input.sequence().Indexed());
}

bool Iterable(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "iterable", args, {});
  return input.Is(Kind::kString) || input.Is(Kind::kDict) || input.Is(Kind::kUndefined) || input.Is(Kind::kSequence) ||
         input.Is(Kind::kLoop);
}

bool IsCallable(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "callable", args, {});
  return input.Is(Kind::kCallable) || input.Is(Kind::kUndefined) || input.Is(Kind::kLoop);
}

Value Remainder(Context& context, const Value& input, const Value& divisor) {
  if (!input.IsNumber()) {
    CheckDefined(context, input);
    context.Raise("a test for numbers has the wrong type", std::string(input.TypeName()), "a number");
  }
  return Arithmetic(context, Op::kModulo, input, divisor);
}

template <int kRemainder>
bool Parity(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "this test", args, {});
  return Equal(context, Remainder(context, input, Value::Int(2)), Value::Int(kRemainder));
}

bool DivisibleBy(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "divisibleby", args, {"num"});
  return Equal(context, Remainder(context, input, params.Need(0)), Value::Int(0));
}

template <CompareOp kOp>
bool Compares(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "this test", args, {"other"});
  return Compare(context, kOp, input, params.Need(0));
}

// Python's "is": for what is not shared, equality within the same type.
bool SameAs(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "sameas", args, {"other"});
  const Value& other = params.Need(0);
  if (input.kind() != other.kind()) return false;
  if (input.Is(Kind::kSequence)) return &input.sequence() == &other.sequence();
  if (input.Is(Kind::kDict)) return &input.dict() == &other.dict();
  return Equal(context, input, other);
}

template <bool kUpper>
bool Cased(Context& context, const Value& input, const CallArgs& args) {
  const Value text = Value::String(ToText(context, input));
  return FindMethod(text, kUpper ? "isupper" : "islower")->run(context, text, args).boolean();
}

constexpr std::array<Test, 36> kTests = {{
    {"defined", Defined},
    {"undefined", IsKind<Kind::kUndefined>},
    {"none", IsKind<Kind::kNone>},
    {"boolean", IsKind<Kind::kBool>},
    {"true", IsBool<true>},
    {"false", IsBool<false>},
    {"integer", IsKind<Kind::kInt>},
    {"float", IsKind<Kind::kFloat>},
    {"number", Number},
    {"string", IsKind<Kind::kString>},
    {"mapping", IsKind<Kind::kDict>},
    {"sequence", IsSequence},
    {"iterable", Iterable},
    {"callable", IsCallable},
    {"odd", Parity<1>},
    {"even", Parity<0>},
    {"divisibleby", DivisibleBy},
    {"lower", Cased<false>},
    {"upper", Cased<true>},
    {"sameas", SameAs},
    {"in", Compares<CompareOp::kIn>},
    {"==", Compares<CompareOp::kEqual>},
    {"eq", Compares<CompareOp::kEqual>},
    {"equalto", Compares<CompareOp::kEqual>},
    {"!=", Compares<CompareOp::kNotEqual>},
    {"ne", Compares<CompareOp::kNotEqual>},
    {"<", Compares<CompareOp::kLess>},
    {"lt", Compares<CompareOp::kLess>},
    {"lessthan", Compares<CompareOp::kLess>},
    {"<=", Compares<CompareOp::kLessEqual>},
    {"le", Compares<CompareOp::kLessEqual>},
    {">", Compares<CompareOp::kGreater>},
    {"gt", Compares<CompareOp::kGreater>},
    {"greaterthan", Compares<CompareOp::kGreater>},
    {">=", Compares<CompareOp::kGreaterEqual>},
    {"ge", Compares<CompareOp::kGreaterEqual>},
}};

}  // namespace

const Test* FindTest(std::string_view name) {
  const auto found = std::find_if(kTests.begin(), kTests.end(), [&](const Test& test) { return test.name == name; });
  return found == kTests.end() ? nullptr : &*found;
}

}  // namespace nla::jinja
