// Digits by fmt, whose types are Python's; signs, groups and padding here.
#include "text/jinja/number_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

constexpr Origin kMade = Origin::kMessage;
constexpr int64_t kMaxPrecision = 300;

Text Pad(Context& context, const Text& sign, const Text& body, const FormatSpec& spec, char align) {
  const auto size = static_cast<int64_t>(sign.size() + body.size());
  const int64_t padding = std::max<int64_t>(spec.width - size, 0);
  context.ReserveText(size + padding);
  const int64_t left = align == '<' ? 0 : align == '^' ? padding / 2 : padding;
  Text made;
  const auto fill = [&](int64_t count) {
    for (int64_t i = 0; i < count; ++i) made.Push(spec.fill, kMade);
  };
  if (align == '=') made.Append(sign);
  fill(left);
  if (align != '=') made.Append(sign);
  made.Append(body);
  fill(padding - left);
  return made;
}

std::string Grouped(const std::string& digits) {
  const size_t end = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string made;
  for (size_t i = 0; i < end; ++i) {
    if (i > 0 && (end - i) % 3 == 0) made.push_back(',');
    made.push_back(digits[i]);
  }
  return made + digits.substr(end);
}

std::string IntDigits(uint64_t magnitude, const FormatSpec& spec) {
  const std::string prefix = spec.alternate && spec.type != 0 && spec.type != 'd' ? std::string("0") + spec.type : "";
  switch (spec.type) {
    case 'x':
      return prefix + fmt::format("{:x}", magnitude);
    case 'X':
      return prefix + fmt::format("{:X}", magnitude);
    case 'o':
      return prefix + fmt::format("{:o}", magnitude);
    case 'b':
      return prefix + fmt::format("{:b}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

std::string FloatDigits(double magnitude, const FormatSpec& spec) {
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  if (spec.type == 0 && spec.precision < 0) return FloatRepr(magnitude);
  if (spec.type == '%') {
    return fmt::format("{:.{}f}%", magnitude * 100, precision);
  }
  const char type = spec.type == 0 ? 'g' : spec.type;
  const std::string pattern = fmt::format("{{:{}.{}{}}}", spec.alternate ? "#" : "", precision, type);
  return fmt::format(fmt::runtime(pattern), magnitude);
}

}  // namespace

Text FormatText(Context& context, const Text& text, const FormatSpec& spec) {
  const Text cut = spec.precision >= 0 ? text.Slice(0, static_cast<size_t>(spec.precision)) : text;
  return Pad(context, Text(), cut, spec, spec.align == 0 ? '<' : spec.align);
}

Text FormatNumber(Context& context, const Value& number, const FormatSpec& spec) {
  if (spec.precision > kMaxPrecision) context.Raise("too many digits in a format", std::to_string(spec.precision));
  constexpr std::string_view kIntTypes = "dxXob";
  constexpr std::string_view kFloatTypes = "eEfFgG%";
  const bool as_int = number.IsIntegral() && (spec.type == 0 || kIntTypes.find(spec.type) != kIntTypes.npos);
  const bool as_float = spec.type == 0 || kFloatTypes.find(spec.type) != kFloatTypes.npos;
  if (!as_int && !as_float) {
    context.Raise("a format does not take this value", fmt::format("{} for \"{}\"", number.TypeName(), spec.type));
  }
  bool negative = false;
  std::string digits;
  if (as_int) {
    const int64_t value = number.AsInt();
    negative = value < 0;
    digits = IntDigits(negative ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value), spec);
  } else {
    const double value = number.AsDouble();
    negative = std::signbit(value) && !std::isnan(value);
    digits = FloatDigits(std::abs(value), spec);
  }
  if (spec.grouped) digits = Grouped(digits);
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  return Pad(context, Text(sign, kMade), Text(digits, kMade), spec, spec.align == 0 ? '>' : spec.align);
}

}  // namespace nla::jinja
