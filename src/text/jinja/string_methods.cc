// Methods of Python's str.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/jinja/builtins.h"
#include "text/jinja/character.h"
#include "text/jinja/format.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

template <bool kLeft, bool kRight>
Value Strip(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "strip", args, {"chars"});
  return context.String(StripText(self.text(), params.String(0), kLeft, kRight));
}

Value ListOfTexts(Context& context, std::vector<Text> texts) {
  context.ReserveItems(static_cast<int64_t>(texts.size()));
  Values items;
  for (Text& text : texts) items.push_back(context.String(std::move(text)));
  return context.NewList(std::move(items));
}

template <bool kFromEnd>
Value Split(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "split", args, {"sep", "maxsplit"});
  const Text* separator = params.String(0);
  if (separator != nullptr && separator->empty()) context.Raise("split(): empty separator");
  return ListOfTexts(context, SplitText(self.text(), separator, params.Int(1, -1), kFromEnd));
}

Value Splitlines(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "splitlines", args, {"keepends"});
  return ListOfTexts(context, SplitLines(self.text(), params.Flag(0, false)));
}

template <bool kFromEnd>
Value Partition(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "partition", args, {"sep"});
  const Text& text = self.text();
  const Text& separator = params.NeedString(0);
  if (separator.empty()) context.Raise("partition(): empty separator");
  const size_t at = kFromEnd ? text.FindLast(separator) : text.Find(separator);
  std::array<Text, 3> parts;
  if (at != Text::npos) {
    parts = {text.Slice(0, at), text.Slice(at, separator.size()), text.Slice(at + separator.size())};
  } else {
    parts[kFromEnd ? 2 : 0] = text;
  }
  Values items;
  for (Text& part : parts) items.push_back(context.String(std::move(part)));
  return context.NewTuple(std::move(items));
}

struct Range {
  size_t begin, end;
};

// The optional bounds of find and its like, as slices resolve them; begin beyond end when nothing can be there.
Range BoundsOf(const Params& params, size_t size) {
  const auto length = static_cast<int64_t>(size);
  const auto resolve = [&](int64_t at) { return at < 0 ? std::max<int64_t>(at + length, 0) : at; };
  const int64_t begin = resolve(std::max(params.Int(1, 0), -length));
  const int64_t end = std::min(resolve(std::max(params.Int(2, length), -length)), length);
  return {static_cast<size_t>(begin), static_cast<size_t>(end)};
}

template <bool kFromEnd>
size_t FindWithin(Context& context, const Value& self, const CallArgs& args, std::string_view name) {
  const Params params(context, name, args, {"sub", "start", "end"});
  const Range bounds = BoundsOf(params, self.text().size());
  const Text& needle = params.NeedString(0);
  return kFromEnd ? self.text().FindLast(needle, bounds.begin, bounds.end)
                  : self.text().Find(needle, bounds.begin, bounds.end);
}

template <bool kFromEnd>
Value Find(Context& context, const Value& self, const CallArgs& args) {
  const size_t at = FindWithin<kFromEnd>(context, self, args, "find");
  return Value::Int(at == Text::npos ? -1 : static_cast<int64_t>(at));
}

template <bool kFromEnd>
Value Index(Context& context, const Value& self, const CallArgs& args) {
  const size_t at = FindWithin<kFromEnd>(context, self, args, "index");
  if (at == Text::npos) context.Raise("index(): substring not found");
  return Value::Int(static_cast<int64_t>(at));
}

Value Count(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "count", args, {"sub", "start", "end"});
  const Range bounds = BoundsOf(params, self.text().size());
  if (bounds.begin > bounds.end) return Value::Int(0);
  const Text within = self.text().Slice(bounds.begin, bounds.end - bounds.begin);
  return Value::Int(static_cast<int64_t>(CountText(within, params.NeedString(0))));
}

template <bool kEnd>
Value Touches(Context& context, const Value& self, const CallArgs& args) {
  const std::string_view name = kEnd ? "endswith" : "startswith";
  const Params params(context, name, args, {"affix", "start", "end"});
  const Range bounds = BoundsOf(params, self.text().size());
  if (bounds.begin > bounds.end) return Value::Bool(false);
  const Text within = self.text().Slice(bounds.begin, bounds.end - bounds.begin);
  const auto touches = [&](const Value& affix) {
    if (!affix.Is(Kind::kString)) {
      context.Raise(fmt::format("{}() has an argument of the wrong type", name), std::string(affix.TypeName()), "str");
    }
    return kEnd ? within.EndsWith(affix.text()) : within.StartsWith(affix.text());
  };
  const Value& affix = params.Need(0);
  if (affix.Is(Kind::kSequence) && affix.sequence().form == Sequence::Form::kTuple) {
    return Value::Bool(std::any_of(affix.sequence().items.begin(), affix.sequence().items.end(), touches));
  }
  return Value::Bool(touches(affix));
}

Value Replace(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "replace", args, {"old", "new", "count"});
  return ReplaceChecked(context, self.text(), params.NeedString(0), params.NeedString(1), params.Int(2, -1));
}

Value Join(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "join", args, {"iterable"});
  Text made;
  bool first = true;
  for (const Value& item : ItemsOf(context, params.Need(0))) {
    if (!item.Is(Kind::kString)) {
      context.Raise("join() has an item of the wrong type", std::string(item.TypeName()), "str");
    }
    context.ReserveText(static_cast<int64_t>(self.text().size() + item.text().size()));
    if (!std::exchange(first, false)) made.Append(self.text());
    made.Append(item.text());
  }
  return context.String(std::move(made));
}

Value FormatMethod(Context& context, const Value& self, const CallArgs& args) {
  return FormatBraces(context, self.text(), args);
}

template <Text (*kConvert)(const Text&)>
Value Convert(Context& context, const Value& self, const CallArgs& args) {
  const Params none(context, "this method", args, {});
  return context.String(kConvert(self.text()));
}

Text SwapCase(const Text& text) {
  const Text upper = UpperText(text);
  const Text lower = LowerText(text);
  Text made;
  for (size_t i = 0, in_upper = 0, in_lower = 0; i < text.size(); ++i) {
    const size_t upper_size = UpperOf(text[i]).size();
    const size_t lower_size = LowerOf(text[i]).size();
    if (IsChar(text[i], kPyUpper)) {
      made.Append(lower, in_lower, lower_size);
    } else if (IsChar(text[i], kPyLower)) {
      made.Append(upper, in_upper, upper_size);
    } else {
      made.Append(text, i, 1);
    }
    in_upper += upper_size;
    in_lower += lower_size;
  }
  return made;
}

template <bool kSuffix>
Value RemoveAffix(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, kSuffix ? "removesuffix" : "removeprefix", args, {"affix"});
  const Text& affix = params.NeedString(0);
  const Text& text = self.text();
  if (kSuffix) return context.String(text.EndsWith(affix) ? text.Slice(0, text.size() - affix.size()) : text);
  return context.String(text.StartsWith(affix) ? text.Slice(affix.size()) : text);
}

// Fills up to a width; `left_share` of the padding goes to the left: 0, 1, or -1 for centred.
Value Pad(Context& context, const Value& self, const CallArgs& args, int left_share) {
  const Params params(context, "this method", args, {"width", "fillchar"});
  params.Need(0);
  const Text space(" ", Origin::kTemplate);
  const Text* fill = params.String(1);
  if (fill != nullptr && fill->size() != 1) context.Raise("the fill character is no single character");
  if (fill == nullptr) fill = &space;
  const auto size = static_cast<int64_t>(self.text().size());
  const int64_t width = std::max(params.Int(0, 0), size);
  context.ReserveText(width);
  const int64_t padding = width - size;
  const int64_t left = left_share >= 0 ? padding * left_share : padding / 2 + (padding & width & 1);
  Text made;
  for (int64_t i = 0; i < left; ++i) made.Append(*fill);
  made.Append(self.text());
  for (int64_t i = left; i < padding; ++i) made.Append(*fill);
  return Value::String(std::move(made));
}

Value Center(Context& context, const Value& self, const CallArgs& args) { return Pad(context, self, args, -1); }
Value LeftJustify(Context& context, const Value& self, const CallArgs& args) { return Pad(context, self, args, 0); }
Value RightJustify(Context& context, const Value& self, const CallArgs& args) { return Pad(context, self, args, 1); }

Value ZeroFill(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "zfill", args, {"width"});
  params.Need(0);
  const Text& text = self.text();
  const auto size = static_cast<int64_t>(text.size());
  const int64_t width = std::max(params.Int(0, 0), size);
  context.ReserveText(width);
  const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  Text made = text.Slice(0, sign);
  for (int64_t i = size; i < width; ++i) made.Push('0', Origin::kMessage);
  made.Append(text.Slice(sign));
  return Value::String(std::move(made));
}

constexpr std::array<Method, 29> kMethods = {{
    {Kind::kString, "strip", Strip<true, true>},
    {Kind::kString, "lstrip", Strip<true, false>},
    {Kind::kString, "rstrip", Strip<false, true>},
    {Kind::kString, "split", Split<false>},
    {Kind::kString, "rsplit", Split<true>},
    {Kind::kString, "splitlines", Splitlines},
    {Kind::kString, "partition", Partition<false>},
    {Kind::kString, "rpartition", Partition<true>},
    {Kind::kString, "find", Find<false>},
    {Kind::kString, "rfind", Find<true>},
    {Kind::kString, "index", Index<false>},
    {Kind::kString, "rindex", Index<true>},
    {Kind::kString, "count", Count},
    {Kind::kString, "startswith", Touches<false>},
    {Kind::kString, "endswith", Touches<true>},
    {Kind::kString, "replace", Replace},
    {Kind::kString, "join", Join},
    {Kind::kString, "format", FormatMethod},
    {Kind::kString, "upper", Convert<UpperText>},
    {Kind::kString, "lower", Convert<LowerText>},
    {Kind::kString, "title", Convert<TitleText>},
    {Kind::kString, "capitalize", Convert<CapitalizeText>},
    {Kind::kString, "swapcase", Convert<SwapCase>},
    {Kind::kString, "removeprefix", RemoveAffix<false>},
    {Kind::kString, "removesuffix", RemoveAffix<true>},
    {Kind::kString, "center", Center},
    {Kind::kString, "ljust", LeftJustify},
    {Kind::kString, "rjust", RightJustify},
    {Kind::kString, "zfill", ZeroFill},
}};

}  // namespace

Value ReplaceChecked(Context& context, const Text& text, const Text& from, const Text& to, int64_t limit) {
  auto count = static_cast<int64_t>(CountText(text, from));
  if (limit >= 0) count = std::min(count, limit);
  context.ReserveText(static_cast<int64_t>(text.size()) + count * static_cast<int64_t>(to.size()));
  return Value::String(ReplaceText(text, from, to, limit));
}

std::span<const Method> StringMethods() { return kMethods; }

}  // namespace nla::jinja
