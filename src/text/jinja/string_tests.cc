// Methods of Python's str that ask what a string consists of.
#include <algorithm>
#include <array>

#include "text/jinja/builtins.h"
#include "text/jinja/character.h"

namespace nla::jinja {
namespace {

// Not empty, and every character has one of the flags.
template <int kFlags>
Value AllAre(Context& context, const Value& self, const CallArgs& args) {
  const Params none(context, "this method", args, {});
  const Text& text = self.text();
  bool all = !text.empty();
  for (size_t i = 0; all && i < text.size(); ++i) all = IsChar(text[i], static_cast<PyCharFlag>(kFlags));
  return Value::Bool(all);
}

// At least one cased character, and none of the other case (or of title case).
template <PyCharFlag kCase>
Value AllCased(Context& context, const Value& self, const CallArgs& args) {
  const Params none(context, "this method", args, {});
  const Text& text = self.text();
  bool some = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsChar(text[i], kCase)) {
      some = true;
    } else if (IsChar(text[i], kPyUpper) || IsChar(text[i], kPyLower) || TitleOf(text[i]) != LowerOf(text[i])) {
      if (IsChar(text[i], kPyCased)) return Value::Bool(false);
    }
  }
  return Value::Bool(some);
}

constexpr std::array<Method, 8> kMethods = {{
    {Kind::kString, "isalpha", AllAre<kPyAlpha>},
    {Kind::kString, "isalnum", AllAre<kPyAlpha | kPyDecimal | kPyDigit | kPyNumeric>},
    {Kind::kString, "isdecimal", AllAre<kPyDecimal>},
    {Kind::kString, "isdigit", AllAre<kPyDigit>},
    {Kind::kString, "isnumeric", AllAre<kPyNumeric>},
    {Kind::kString, "isspace", AllAre<kPySpace>},
    {Kind::kString, "isupper", AllCased<kPyUpper>},
    {Kind::kString, "islower", AllCased<kPyLower>},
}};

}  // namespace

std::span<const Method> StringTestMethods() { return kMethods; }

}  // namespace nla::jinja
