// Values as Python prints them.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "text/jinja/character.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

constexpr Origin kMade = Origin::kMessage;

void AppendEscape(char32_t c, Origin origin, Text& out) {
  switch (c) {
    case '\n':
      return out.Append("\\n", origin);
    case '\r':
      return out.Append("\\r", origin);
    case '\t':
      return out.Append("\\t", origin);
    default:
      break;
  }
  const auto code = static_cast<uint32_t>(c);
  out.Append(code < 0x100     ? fmt::format("\\x{:02x}", code)
             : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                              : fmt::format("\\U{:08x}", code),
             origin);
}

void AppendQuoted(const Text& text, Text& out) {
  bool single = false;
  bool twofold = false;
  for (size_t i = 0; i < text.size(); ++i) {
    single |= text[i] == '\'';
    twofold |= text[i] == '"';
  }
  const char32_t quote = single && !twofold ? '"' : '\'';
  out.Push(quote, kMade);
  for (size_t i = 0; i < text.size(); ++i) {
    const Origin origin = text.OriginAt(i);
    if (text[i] == quote || text[i] == '\\') {
      out.Push('\\', origin);
      out.Push(text[i], origin);
    } else if (IsChar(text[i], kPyPrintable)) {
      out.Push(text[i], origin);
    } else {
      AppendEscape(text[i], origin, out);
    }
  }
  out.Push(quote, kMade);
}

class Printer {
 public:
  explicit Printer(Context& context) : context_(context) {}

  void Append(const Value& value) {
    const Context::Level level(context_);
    context_.Charge();
    switch (value.kind()) {
      case Kind::kUndefined:
        return Add("Undefined");
      case Kind::kNone:
        return Add("None");
      case Kind::kBool:
        return Add(value.boolean() ? "True" : "False");
      case Kind::kInt:
        return Add(std::to_string(value.integer()));
      case Kind::kFloat:
        return Add(FloatRepr(value.real()));
      case Kind::kString:
        AppendQuoted(value.text(), out_);
        return context_.ReserveText(static_cast<int64_t>(value.text().size()));
      case Kind::kSequence:
        return AppendSequence(value.sequence());
      case Kind::kDict:
        return AppendDict(value.dict());
      case Kind::kNamespace:
        return AppendNamespace(value.space());
      case Kind::kLoop:
        return Add(fmt::format("<LoopContext {}/{}>", value.loop().index + 1, value.loop().items.size()));
      case Kind::kCallable:
        return AppendCallable(value.callable());
    }
  }

  Text Take() { return std::move(out_); }

 private:
  void Add(std::string_view text) {
    out_.Append(text, kMade);
    CheckLength();
  }

  void CheckLength() const {
    if (static_cast<int64_t>(out_.size()) > context_.limits().text) {
      context_.ReserveText(static_cast<int64_t>(out_.size()));
    }
  }

  void AppendItems(const Values& items) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) Add(", ");
      Append(items[i]);
    }
  }

  void AppendSequence(const Sequence& sequence) {
    switch (sequence.form) {
      case Sequence::Form::kList:
        Add("[");
        AppendItems(sequence.items);
        return Add("]");
      case Sequence::Form::kTuple:
        Add("(");
        AppendItems(sequence.items);
        return Add(sequence.items.size() == 1 ? ",)" : ")");
      case Sequence::Form::kView:
        Add(fmt::format("{}([", sequence.view));
        AppendItems(sequence.items);
        return Add("])");
      case Sequence::Form::kRange:
      case Sequence::Form::kIterator:
        context_.Raise("the chat template prints what has no text",
                       sequence.form == Sequence::Form::kRange ? "range" : "generator", "a list");
    }
  }

  void AppendDict(const Dict& dict) {
    Add("{");
    for (size_t i = 0; i < dict.entries.size(); ++i) {
      if (i > 0) Add(", ");
      Append(dict.entries[i].key);
      Add(": ");
      Append(dict.entries[i].value);
    }
    Add("}");
  }

  void AppendNamespace(const Namespace& space) {
    Add("<Namespace {");
    for (size_t i = 0; i < space.fields.size(); ++i) {
      Add(fmt::format("{}'{}': ", i > 0 ? ", " : "", space.fields[i].first));
      Append(space.fields[i].second);
    }
    Add("}>");
  }

  void AppendCallable(const Callable& callable) {
    if (callable.form == Callable::Form::kMacro) return Add(fmt::format("<Macro '{}'>", callable.name));
    context_.Raise("the chat template prints a function", callable.name, "its result");
  }

  Context& context_;
  Text out_;
};

}  // namespace

std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 32> buffer{};
  const auto written =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  std::string digits(buffer.data(), written.ptr);
  std::string sign;
  if (digits[0] == '-') {
    sign = "-";
    digits.erase(0, 1);
  }
  const size_t e = digits.find('e');
  const int exponent = std::stoi(digits.substr(e + 1));
  digits.resize(e);
  std::erase(digits, '.');
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    const std::string fraction = count > 1 ? "." + digits.substr(1) : "";
    return fmt::format("{}{}{}e{}{:02}", sign, digits[0], fraction, exponent < 0 ? "-" : "+", std::abs(exponent));
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1) {
    return sign + digits + std::string(static_cast<size_t>(exponent + 1 - count), '0') + ".0";
  }
  return sign + digits.substr(0, static_cast<size_t>(exponent) + 1) + "." +
         digits.substr(static_cast<size_t>(exponent) + 1);
}

Text Repr(Context& context, const Value& value) {
  Printer printer(context);
  printer.Append(value);
  Text text = printer.Take();
  context.ReserveText(static_cast<int64_t>(text.size()));
  return text;
}

Text ToText(Context& context, const Value& value) {
  if (value.Is(Kind::kUndefined)) return {};
  if (value.Is(Kind::kString)) {
    context.ReserveText(static_cast<int64_t>(value.text().size()));
    return value.text();
  }
  return Repr(context, value);
}

}  // namespace nla::jinja
