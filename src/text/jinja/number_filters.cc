// Filters that make numbers.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

// What Python's float() and int() read: without white space around, with single underscores between digits.
std::optional<std::string> NumberText(const Text& text) {
  std::string plain = StripText(text, nullptr, true, true).Utf8();
  if (plain.starts_with('+')) plain.erase(0, 1);
  if (plain.starts_with("+-") || plain.starts_with("-+")) return std::nullopt;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] != '_') continue;
    const bool between = i > 0 && i + 1 < plain.size() && std::isdigit(static_cast<unsigned char>(plain[i - 1])) != 0 &&
                         std::isdigit(static_cast<unsigned char>(plain[i + 1])) != 0;
    if (!between) return std::nullopt;
  }
  std::erase(plain, '_');
  return plain;
}

std::optional<double> ParseFloat(const Text& text) {
  const auto plain = NumberText(text);
  if (!plain || plain->empty()) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(plain->data(), plain->data() + plain->size(), value);
  if (end != plain->data() + plain->size() || plain->find('(') != plain->npos) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(plain->c_str(), nullptr);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseInt(Context& context, const Text& text, int base) {
  auto plain = NumberText(text);
  if (!plain) return std::nullopt;
  const size_t sign = plain->starts_with('-') ? 1 : 0;
  const std::array<std::pair<std::string_view, int>, 3> prefixes = {{{"0x", 16}, {"0o", 8}, {"0b", 2}}};
  for (const auto& [prefix, prefix_base] : prefixes) {
    if (base == prefix_base && plain->substr(sign, 2) == prefix) plain->erase(sign, 2);
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(plain->data(), plain->data() + plain->size(), value, base);
  if (end != plain->data() + plain->size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) context.Raise("int(): an integer beyond 64 bits", *plain);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::optional<int64_t> Truncated(Context& context, double value) {
  if (!std::isfinite(value)) return std::nullopt;
  if (std::abs(value) >= 9.2e18) context.Raise("int(): an integer beyond 64 bits", FloatRepr(value));
  return static_cast<int64_t>(value);
}

Value MakeInt(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "int", args, {"default", "base"});
  const int64_t base = params.Int(1, 10);
  if (base < 2 || base > 36) context.Raise("int(): a base out of range", std::to_string(base), "2..36");
  std::optional<int64_t> value;
  if (input.IsIntegral()) {
    value = input.AsInt();
  } else if (input.Is(Kind::kFloat)) {
    value = Truncated(context, input.real());
  } else if (input.Is(Kind::kString)) {
    value = ParseInt(context, input.text(), static_cast<int>(base));
    const auto real = value ? std::nullopt : ParseFloat(input.text());
    if (real) value = Truncated(context, *real);
  }
  CheckDefined(context, input);
  if (value) return Value::Int(*value);
  return params.Get(0) != nullptr ? *params.Get(0) : Value::Int(0);
}

Value MakeFloat(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "float", args, {"default"});
  CheckDefined(context, input);
  if (input.IsNumber()) return Value::Float(input.AsDouble());
  const auto value = input.Is(Kind::kString) ? ParseFloat(input.text()) : std::nullopt;
  if (value) return Value::Float(*value);
  return params.Get(0) != nullptr ? *params.Get(0) : Value::Float(0.0);
}

Value Abs(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "abs", args, {});
  CheckDefined(context, input);
  if (!input.IsNumber()) context.Raise("abs() has the wrong type", std::string(input.TypeName()), "a number");
  if (input.Is(Kind::kFloat)) return Value::Float(std::abs(input.real()));
  return input.AsInt() < 0 ? Negative(context, input) : Value::Int(input.AsInt());
}

// Python's round(): half to even on the exact decimal value.
double RoundFloat(double value, int64_t precision) {
  if (!std::isfinite(value) || precision > 300) return value;
  if (precision < 0) {
    const double power = std::pow(10.0, static_cast<double>(-precision));
    return std::isfinite(power) ? std::nearbyint(value / power) * power : std::copysign(0.0, value);
  }
  const std::string text = fmt::format("{:.{}f}", value, precision);
  double rounded = value;
  std::from_chars(text.data(), text.data() + text.size(), rounded);
  return rounded;
}

Value RoundInt(Context& context, int64_t value, int64_t precision) {
  if (precision >= 0) return Value::Int(value);
  if (precision < -18) return Value::Int(0);
  int64_t power = 1;
  for (int64_t i = 0; i < -precision; ++i) power *= 10;
  const int64_t rest = ((value % power) + power) % power;
  const int64_t floor = (value - rest) / power;
  const bool up = rest > power - rest || (rest == power - rest && floor % 2 != 0);
  return Arithmetic(context, Op::kMultiply, Value::Int(floor + (up ? 1 : 0)), Value::Int(power));
}

Value Round(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "round", args, {"precision", "method"});
  CheckDefined(context, input);
  if (!input.IsNumber()) context.Raise("round() has the wrong type", std::string(input.TypeName()), "a number");
  const int64_t precision = params.Int(0, 0);
  const Text* method = params.String(1);
  if (method == nullptr || *method == "common") {
    if (input.IsIntegral()) return RoundInt(context, input.AsInt(), precision);
    return Value::Float(RoundFloat(input.real(), precision));
  }
  const bool ceil = *method == "ceil";
  if (!ceil && !(*method == "floor"))
    context.Raise("round(): an unknown method", method->Utf8(), "common, ceil or floor");
  const double power = std::pow(10.0, static_cast<double>(precision));
  const double scaled = input.AsDouble() * power;
  return Value::Float((ceil ? std::ceil(scaled) : std::floor(scaled)) / power);
}

Value Sum(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "sum", args, {"attribute", "start"});
  Value total = params.Get(1) != nullptr ? *params.Get(1) : Value::Int(0);
  CallArgs map;
  if (params.Get(0) != nullptr && !params.Get(0)->Is(Kind::kNone)) map.named.emplace_back("attribute", *params.Get(0));
  const Value items = map.named.empty() ? input : FindFilter("map")->run(context, input, map);
  if (total.Is(Kind::kString)) context.Raise("sum() adds no strings", "", "join()");
  for (const Value& item : ItemsOf(context, items)) total = Arithmetic(context, Op::kAdd, total, item);
  return total;
}

constexpr std::array<Filter, 5> kFilters = {
    {{"int", MakeInt}, {"float", MakeFloat}, {"abs", Abs}, {"round", Round}, {"sum", Sum}}};

}  // namespace

std::span<const Filter> NumberFilters() { return kFilters; }

}  // namespace nla::jinja
