// Filters that make text.
#include <array>

#include "text/jinja/attribute_path.h"
#include "text/jinja/builtins.h"
#include "text/jinja/character.h"
#include "text/jinja/format.h"
#include "text/jinja/json.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

template <Text (*kConvert)(const Text&)>
Value Convert(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "this filter", args, {});
  return context.String(kConvert(ToText(context, input)));
}

bool BeginsWord(char32_t c) { return IsSpace(c) || std::u32string_view(U"-({[<").find(c) != std::u32string_view::npos; }

// Jinja's own title: a letter is large behind white space, a dash or an opening bracket.
Text TitleWords(const Text& text) {
  Text made;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && BeginsWord(text[end]) == BeginsWord(text[i])) ++end;
    made.Append(UpperText(text.Slice(i, 1)));
    made.Append(LowerText(text.Slice(i + 1, end - i - 1)));
    i = end;
  }
  return made;
}

Value Trim(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "trim", args, {"chars"});
  return context.String(StripText(ToText(context, input), params.String(0), true, true));
}

// soft_str; "safe" is the same where nothing is escaped.
Value MakeString(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "string", args, {});
  return context.String(ToText(context, input));
}

Value Replace(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "replace", args, {"old", "new", "count"});
  return ReplaceChecked(context, ToText(context, input), ToText(context, params.Need(0)),
                        ToText(context, params.Need(1)), params.Int(2, -1));
}

Value Join(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "join", args, {"d", "attribute"});
  const AttributePath path(context, params.Get(1));
  const Text separator = params.Get(0) != nullptr ? ToText(context, *params.Get(0)) : Text();
  Text made;
  bool first = true;
  for (const Value& item : ItemsOf(context, input)) {
    const Text next = ToText(context, path.Of(item));
    if (!std::exchange(first, false)) made.Append(separator);
    made.Append(next);
    if (static_cast<int64_t>(made.size()) > context.limits().text) {
      context.ReserveText(static_cast<int64_t>(made.size()));
    }
  }
  return context.String(std::move(made));
}

Value Format(Context& context, const Value& input, const CallArgs& args) {
  const Text format = ToText(context, input);
  if (args.named.empty()) return FormatPercent(context, format, context.NewTuple(args.positional));
  if (!args.positional.empty()) context.Raise("format() takes positional or named values, not both");
  std::vector<DictEntry> entries;
  for (const auto& [name, value] : args.named) entries.push_back({context.String(name, Origin::kTemplate), value});
  return FormatPercent(context, format, context.NewDict(std::move(entries)));
}

// The indentation of indent and tojson: so many blanks, or a text.
Text IndentOf(Context& context, const Value& width) {
  if (width.Is(Kind::kString)) return width.text();
  if (!width.IsIntegral()) context.Raise("an indent of the wrong type", std::string(width.TypeName()), "int or str");
  const int64_t count = std::max<int64_t>(width.AsInt(), 0);
  context.ReserveText(count);
  return Text(std::string(static_cast<size_t>(count), ' '), Origin::kMessage);
}

Value Indent(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "indent", args, {"width", "first", "blank"});
  if (!input.Is(Kind::kString)) {
    CheckDefined(context, input);
    context.Raise("indent() has the wrong type", std::string(input.TypeName()), "str");
  }
  const Text indent = IndentOf(context, params.Get(0) != nullptr ? *params.Get(0) : Value::Int(4));
  Text text = input.text();
  text.Push('\n', Origin::kTemplate);
  const std::vector<Text> lines = SplitLines(text, false);
  const bool blank = params.Flag(2, false);
  context.ReserveText(static_cast<int64_t>(text.size() + lines.size() * (indent.size() + 1)));
  Text made = params.Flag(1, false) ? indent : Text();
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) {
      made.Push('\n', Origin::kTemplate);
      if (blank || !lines[i].empty()) made.Append(indent);
    }
    made.Append(lines[i]);
  }
  return Value::String(std::move(made));
}

Value Center(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "center", args, {"width"});
  const Value text = Value::String(ToText(context, input));
  return FindMethod(text, "center")->run(context, text, {.positional = {Value::Int(params.Int(0, 80))}, .named = {}});
}

Value ToJsonFilter(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = params.Flag(0, false);
  style.sort_keys = params.Flag(3, false);
  if (params.Get(1) != nullptr && !params.Get(1)->Is(Kind::kNone)) style.indent = IndentOf(context, *params.Get(1));
  if (params.Get(2) != nullptr && !params.Get(2)->Is(Kind::kNone)) {
    const Values separators = ItemsOf(context, *params.Get(2));
    if (separators.size() != 2) context.Raise("tojson(): separators are two strings");
    style.item_separator = ToText(context, separators[0]);
    style.key_separator = ToText(context, separators[1]);
  }
  return context.String(ToJson(context, input, style));
}

constexpr std::array<Filter, 13> kFilters = {{
    {"upper", Convert<UpperText>},
    {"lower", Convert<LowerText>},
    {"capitalize", Convert<CapitalizeText>},
    {"title", Convert<TitleWords>},
    {"trim", Trim},
    {"string", MakeString},
    {"safe", MakeString},
    {"replace", Replace},
    {"join", Join},
    {"format", Format},
    {"indent", Indent},
    {"center", Center},
    {"tojson", ToJsonFilter},
}};

}  // namespace

std::span<const Filter> TextFilters() { return kFilters; }

}  // namespace nla::jinja
