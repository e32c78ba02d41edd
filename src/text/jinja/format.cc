// The two little languages of string formatting.
#include "text/jinja/format.h"

#include <fmt/format.h>

#include <cmath>

#include "text/jinja/number_format.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

constexpr int64_t kMaxNumber = 1'000'000;

// Reads a format string character by character.
class FormatCursor {
 public:
  FormatCursor(Context& context, const Text& format) : context_(context), format_(format) {}

  bool AtEnd() const { return at_ == format_.size(); }
  char32_t Peek() const { return AtEnd() ? 0 : format_[at_]; }
  char32_t Next() {
    if (AtEnd()) context_.Raise("an unfinished format", format_.Slice(0, 60).Utf8());
    return format_[at_++];
  }
  bool Skip(char32_t c) {
    const bool is = !AtEnd() && Peek() == c;
    if (is) ++at_;
    return is;
  }
  // Digits, or `otherwise` when none stand here.
  int64_t Number(int64_t otherwise) {
    if (Peek() < '0' || Peek() > '9') return otherwise;
    int64_t value = 0;
    while (Peek() >= '0' && Peek() <= '9') {
      value = value * 10 + static_cast<int64_t>(Next() - '0');
      if (value > kMaxNumber) context_.Raise("too large a number in a format", "", std::to_string(kMaxNumber));
    }
    return value;
  }
  // Up to one of `stops`, which stays.
  Text Until(std::u32string_view stops) {
    const size_t begin = at_;
    while (!AtEnd() && stops.find(Peek()) == stops.npos) ++at_;
    return format_.Slice(begin, at_ - begin);
  }
  size_t at() const { return at_; }

 private:
  Context& context_;
  const Text& format_;
  size_t at_ = 0;
};

// The values of "%", taken one after the other or by name.
class PercentValues {
 public:
  PercentValues(Context& context, const Value& values) : context_(context), values_(values) {
    const bool many = values.Is(Kind::kSequence) && values.sequence().form == Sequence::Form::kTuple;
    queue_ = many ? values.sequence().items : Values{values};
  }

  const Value& Next() {
    if (next_ == queue_.size()) context_.Raise("a format has more fields than values");
    return queue_[next_++];
  }
  const Value& Named(const Text& name) {
    if (!values_.Is(Kind::kDict)) context_.Raise("a format with names needs a dict", std::string(values_.TypeName()));
    next_ = queue_.size();
    const Value* found = values_.dict().Find(name);
    if (found == nullptr) context_.Raise("a format names a value that is not there", name.Utf8());
    return *found;
  }
  void CheckAllUsed() const {
    if (next_ < queue_.size() && !values_.Is(Kind::kDict)) context_.Raise("a format has fewer fields than values");
  }

 private:
  Context& context_;
  const Value& values_;
  Values queue_;
  size_t next_ = 0;
};

FormatSpec ReadPercentSpec(FormatCursor& cursor) {
  FormatSpec spec;
  bool left = false;
  bool zero = false;
  while (true) {
    if (cursor.Skip('-')) {
      left = true;
    } else if (cursor.Skip('0')) {
      zero = true;
    } else if (cursor.Skip('+')) {
      spec.sign = '+';
    } else if (cursor.Skip(' ')) {
      spec.sign = spec.sign == '+' ? '+' : ' ';
    } else if (cursor.Skip('#')) {
      spec.alternate = true;
    } else {
      break;
    }
  }
  spec.width = cursor.Number(0);
  if (cursor.Skip('.')) spec.precision = cursor.Number(0);
  spec.align = left ? '<' : zero ? '=' : '>';
  if (zero && !left) spec.fill = '0';
  return spec;
}

Text ConvertPercent(Context& context, char32_t type, FormatSpec spec, const Value& value) {
  if (type == 's' || type == 'r') {
    spec.fill = ' ';
    if (spec.align == '=') spec.align = '>';
    return FormatText(context, type == 's' ? ToText(context, value) : Repr(context, value), spec);
  }
  CheckDefined(context, value);
  const std::string_view ints = "diuxXo";
  const std::string_view floats = "eEfFgG";
  const char letter = type < 128 ? static_cast<char>(type) : '?';
  if (!value.IsNumber() || (ints.find(letter) == ints.npos && floats.find(letter) == floats.npos)) {
    context.Raise("a format does not take this value", fmt::format("{} for \"%{}\"", value.TypeName(), letter));
  }
  Value number = value;
  if (ints.find(letter) != ints.npos) {
    spec.type = letter == 'i' || letter == 'u' ? 'd' : letter;
    if (value.Is(Kind::kFloat)) {
      if (spec.type != 'd' || !(std::abs(value.real()) < 9e18)) {
        context.Raise("a format does not take this value", fmt::format("float for \"%{}\"", letter));
      }
      number = Value::Int(static_cast<int64_t>(value.real()));
    }
    if (spec.precision >= 0) context.Raise("a format of integers with a precision is not supported");
  } else {
    spec.type = letter;
  }
  return FormatNumber(context, number, spec);
}

// What a field of "{}" names: a value, and a path into it.
class BraceValues {
 public:
  BraceValues(Context& context, const CallArgs& args) : context_(context), args_(args) {}

  Value Field(const Text& field) {
    FormatCursor cursor(context_, field);
    Value value = Root(cursor.Until(U".["));
    while (!cursor.AtEnd()) {
      if (cursor.Skip('.')) {
        value = GetAttribute(context_, value, cursor.Until(U".["));
        continue;
      }
      cursor.Next();
      const Text key = cursor.Until(U"]");
      cursor.Next();
      value = GetItem(context_, value, KeyOf(key));
    }
    return value;
  }

 private:
  static bool IsNumber(const Text& text) {
    bool digits = !text.empty() && text.size() < 10;
    for (size_t i = 0; i < text.size(); ++i) digits = digits && text[i] >= '0' && text[i] <= '9';
    return digits;
  }
  static Value KeyOf(const Text& key) {
    return IsNumber(key) ? Value::Int(std::stoll(key.Utf8())) : Value::String(key);
  }

  Value Root(const Text& name) {
    if (name.empty() || IsNumber(name)) {
      const size_t at = name.empty() ? next_++ : std::stoull(name.Utf8());
      if (at >= args_.positional.size()) context_.Raise("a format has more fields than values");
      return args_.positional[at];
    }
    for (const auto& [known, value] : args_.named) {
      if (name == Text(known, Origin::kTemplate)) return value;
    }
    context_.Raise("a format names a value that is not there", name.Utf8());
  }

  Context& context_;
  const CallArgs& args_;
  size_t next_ = 0;
};

char Ascii(char32_t c) { return c < 128 ? static_cast<char>(c) : '?'; }

FormatSpec ReadBraceSpec(Context& context, const Text& text) {
  FormatSpec spec;
  FormatCursor cursor(context, text);
  constexpr std::u32string_view kAligns = U"<>^=";
  if (text.size() >= 2 && kAligns.find(text[1]) != kAligns.npos) {
    spec.fill = cursor.Next();
    spec.align = Ascii(cursor.Next());
  } else if (!text.empty() && kAligns.find(text[0]) != kAligns.npos) {
    spec.align = Ascii(cursor.Next());
  }
  if (cursor.Peek() == '+' || cursor.Peek() == '-' || cursor.Peek() == ' ') spec.sign = Ascii(cursor.Next());
  spec.alternate = cursor.Skip('#');
  if (cursor.Peek() == '0' && spec.align == 0) {
    spec.fill = '0';
    spec.align = '=';
  }
  spec.width = cursor.Number(0);
  spec.grouped = cursor.Skip(',');
  if (cursor.Skip('.')) spec.precision = cursor.Number(0);
  if (!cursor.AtEnd()) spec.type = Ascii(cursor.Next());
  if (!cursor.AtEnd()) context.Raise("a format specification that is not supported", text.Utf8());
  return spec;
}

Text ConvertBraces(Context& context, const Value& value, char32_t conversion, const Text& spec_text) {
  Value converted = value;
  if (conversion == 's') converted = Value::String(ToText(context, value));
  if (conversion == 'r') converted = Value::String(Repr(context, value));
  if (spec_text.empty()) return ToText(context, converted);
  const FormatSpec spec = ReadBraceSpec(context, spec_text);
  const bool number = converted.IsNumber() && !(converted.Is(Kind::kBool) && spec.type == 0);
  if (number) return FormatNumber(context, converted, spec);
  const bool text = converted.Is(Kind::kString) || converted.Is(Kind::kBool);
  if (!text || (spec.type != 0 && spec.type != 's') || spec.align == '=' || spec.grouped || spec.sign != '-') {
    context.Raise("a format does not take this value",
                  fmt::format("{} for \"{}\"", converted.TypeName(), spec_text.Utf8()));
  }
  return FormatText(context, ToText(context, converted), spec);
}

}  // namespace

Value FormatPercent(Context& context, const Text& format, const Value& value) {
  PercentValues values(context, value);
  FormatCursor cursor(context, format);
  Text made;
  while (!cursor.AtEnd()) {
    made.Append(cursor.Until(U"%"));
    if (cursor.AtEnd()) break;
    cursor.Next();
    std::optional<Text> name;
    if (cursor.Skip('(')) {
      name = cursor.Until(U")");
      cursor.Next();
    }
    const FormatSpec spec = ReadPercentSpec(cursor);
    const char32_t type = cursor.Next();
    if (type == '%') {
      made.Append(format, cursor.at() - 1, 1);
    } else {
      made.Append(ConvertPercent(context, type, spec, name ? values.Named(*name) : values.Next()));
    }
  }
  values.CheckAllUsed();
  return context.String(std::move(made));
}

Value FormatBraces(Context& context, const Text& format, const CallArgs& args) {
  BraceValues values(context, args);
  FormatCursor cursor(context, format);
  Text made;
  while (!cursor.AtEnd()) {
    made.Append(cursor.Until(U"{}"));
    if (cursor.AtEnd()) break;
    const char32_t brace = cursor.Next();
    if (cursor.Skip(brace)) {
      made.Append(format, cursor.at() - 1, 1);
      continue;
    }
    if (brace == '}') context.Raise("a single \"}\" in a format", format.Slice(0, 60).Utf8());
    const Text field = cursor.Until(U"!:}");
    const char32_t conversion = cursor.Skip('!') ? cursor.Next() : 0;
    if (conversion != 0 && conversion != 's' && conversion != 'r') {
      context.Raise("a conversion that is not supported in a format", format.Slice(0, 60).Utf8(), "!s or !r");
    }
    const Text spec = cursor.Skip(':') ? cursor.Until(U"{}") : Text();
    if (cursor.Next() != '}') context.Raise("a format that is not supported", format.Slice(0, 60).Utf8());
    made.Append(ConvertBraces(context, values.Field(field), conversion, spec));
  }
  return context.String(std::move(made));
}

}  // namespace nla::jinja
