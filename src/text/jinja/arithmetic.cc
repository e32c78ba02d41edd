// "+", "-", "*", "/", "//", "%" and "**", on 64-bit integers, floats, strings and lists.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "text/jinja/format.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

std::string_view SignOf(Op op) {
  switch (op) {
    case Op::kAdd:
      return "+";
    case Op::kSubtract:
      return "-";
    case Op::kMultiply:
      return "*";
    case Op::kDivide:
      return "/";
    case Op::kFloorDivide:
      return "//";
    case Op::kModulo:
      return "%";
    default:
      return "**";
  }
}

[[noreturn]] void RaiseOverflow(const Context& context) {
  context.Raise("the chat template computes an integer beyond 64 bits");
}

Value PowerOfInts(Context& context, int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) context.Raise("the chat template divides by zero");
    return Value::Float(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  if (base == 0 || base == 1) return Value::Int(exponent == 0 ? 1 : base);
  if (base == -1) return Value::Int(exponent % 2 == 0 ? 1 : -1);
  int64_t result = 1;
  for (int64_t i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(result, base, &result)) RaiseOverflow(context);
  }
  return Value::Int(result);
}

Value OnInts(Context& context, Op op, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  if (right == 0 && (op == Op::kDivide || op == Op::kFloorDivide || op == Op::kModulo)) {
    context.Raise("the chat template divides by zero");
  }
  switch (op) {
    case Op::kAdd:
      overflow = __builtin_add_overflow(left, right, &result);
      break;
    case Op::kSubtract:
      overflow = __builtin_sub_overflow(left, right, &result);
      break;
    case Op::kMultiply:
      overflow = __builtin_mul_overflow(left, right, &result);
      break;
    case Op::kDivide:
      return Value::Float(static_cast<double>(left) / static_cast<double>(right));
    case Op::kFloorDivide:
      overflow = left == std::numeric_limits<int64_t>::min() && right == -1;
      if (!overflow) result = left / right - (left % right != 0 && (left < 0) != (right < 0) ? 1 : 0);
      break;
    case Op::kModulo:
      if (right == -1) return Value::Int(0);
      result = left % right;
      if (result != 0 && (result < 0) != (right < 0)) result += right;
      break;
    default:
      return PowerOfInts(context, left, right);
  }
  if (overflow) RaiseOverflow(context);
  return Value::Int(result);
}

Value OnFloats(Context& context, Op op, double left, double right) {
  if (right == 0 && (op == Op::kDivide || op == Op::kFloorDivide || op == Op::kModulo)) {
    context.Raise("the chat template divides by zero");
  }
  switch (op) {
    case Op::kAdd:
      return Value::Float(left + right);
    case Op::kSubtract:
      return Value::Float(left - right);
    case Op::kMultiply:
      return Value::Float(left * right);
    case Op::kDivide:
      return Value::Float(left / right);
    case Op::kFloorDivide:
    case Op::kModulo: {
      double remainder = std::fmod(left, right);
      double quotient = (left - remainder) / right;
      if (remainder == 0) {
        remainder = std::copysign(0.0, right);
      } else if ((remainder < 0) != (right < 0)) {
        remainder += right;
        quotient -= 1;
      }
      return Value::Float(op == Op::kModulo ? remainder
                          : quotient == 0   ? std::copysign(0.0, left / right)
                                            : std::round(quotient));
    }
    default: {
      if (left == 0 && right < 0) context.Raise("the chat template divides by zero");
      const double result = std::pow(left, right);
      if (std::isfinite(left) && std::isfinite(right) && !std::isfinite(result)) {
        context.Raise("the chat template computes a power that is no finite number");
      }
      return Value::Float(result);
    }
  }
}

Value Repeat(Context& context, const Value& value, int64_t times) {
  times = std::max<int64_t>(times, 0);
  const int64_t size = LengthOf(context, value);
  int64_t total = 0;
  if (__builtin_mul_overflow(size, times, &total)) total = std::numeric_limits<int64_t>::max() / 2;
  if (size == 0) times = 0;
  if (value.Is(Kind::kString)) {
    context.ReserveText(total);
    Text text;
    for (int64_t i = 0; i < times; ++i) text.Append(value.text());
    return Value::String(std::move(text));
  }
  context.ReserveItems(total);
  Values items;
  for (int64_t i = 0; i < times; ++i) {
    items.insert(items.end(), value.sequence().items.begin(), value.sequence().items.end());
  }
  return value.sequence().form == Sequence::Form::kList ? context.NewList(std::move(items))
                                                        : context.NewTuple(std::move(items));
}

bool Repeats(const Value& value, const Value& times) {
  const bool repeated =
      value.Is(Kind::kString) || (value.Is(Kind::kSequence) && value.sequence().form <= Sequence::Form::kTuple);
  return repeated && times.IsIntegral();
}

}  // namespace

Value Arithmetic(Context& context, Op op, const Value& left, const Value& right) {
  CheckDefined(context, left);
  if (op == Op::kModulo && left.Is(Kind::kString)) return FormatPercent(context, left.text(), right);
  CheckDefined(context, right);
  if (left.IsNumber() && right.IsNumber()) {
    if (left.IsIntegral() && right.IsIntegral()) return OnInts(context, op, left.AsInt(), right.AsInt());
    return OnFloats(context, op, left.AsDouble(), right.AsDouble());
  }
  if (op == Op::kAdd && left.Is(Kind::kString) && right.Is(Kind::kString)) {
    context.ReserveText(static_cast<int64_t>(left.text().size() + right.text().size()));
    Text text = left.text();
    text.Append(right.text());
    return Value::String(std::move(text));
  }
  const bool sequences = left.Is(Kind::kSequence) && right.Is(Kind::kSequence) &&
                         left.sequence().form == right.sequence().form &&
                         left.sequence().form <= Sequence::Form::kTuple;
  if (op == Op::kAdd && sequences) {
    Values items = left.sequence().items;
    items.insert(items.end(), right.sequence().items.begin(), right.sequence().items.end());
    return left.sequence().form == Sequence::Form::kList ? context.NewList(std::move(items))
                                                         : context.NewTuple(std::move(items));
  }
  if (op == Op::kMultiply && Repeats(left, right)) return Repeat(context, left, right.AsInt());
  if (op == Op::kMultiply && Repeats(right, left)) return Repeat(context, right, left.AsInt());
  context.Raise(fmt::format("\"{}\" does not take these values", SignOf(op)),
                fmt::format("{} and {}", left.TypeName(), right.TypeName()));
}

Value Negative(Context& context, const Value& value) {
  CheckDefined(context, value);
  if (value.Is(Kind::kFloat)) return Value::Float(-value.real());
  if (!value.IsIntegral()) context.Raise("a sign before what is no number", std::string(value.TypeName()), "a number");
  return OnInts(context, Op::kSubtract, 0, value.AsInt());
}

}  // namespace nla::jinja
