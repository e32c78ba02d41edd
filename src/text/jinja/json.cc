// Conversion from JSON documents, and json.dumps.
#include "text/jinja/json.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

constexpr Origin kMade = Origin::kMessage;

// The letter of a two-character escape, or 0.
char32_t ShortEscape(char32_t c) {
  switch (c) {
    case '"':
      return '"';
    case '\\':
      return '\\';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\f':
      return 'f';
    case '\b':
      return 'b';
    default:
      return 0;
  }
}

class JsonWriter {
 public:
  JsonWriter(Context& context, const JsonStyle& style) : context_(context), style_(style) {
    item_separator_ = style.item_separator.value_or(Text(style.indent ? "," : ", ", kMade));
    key_separator_ = style.key_separator.value_or(Text(": ", kMade));
  }

  void Write(const Value& value, int depth) {
    const Context::Level level(context_);
    context_.Charge();
    if (static_cast<int64_t>(out_.size()) > context_.limits().text) {
      context_.ReserveText(static_cast<int64_t>(out_.size()));
    }
    switch (value.kind()) {
      case Kind::kString:
        return WriteString(value.text());
      case Kind::kSequence:
        if (value.sequence().form > Sequence::Form::kTuple) break;
        return WriteList(value.sequence().items, depth);
      case Kind::kDict:
        return WriteDict(value.dict(), depth);
      case Kind::kNone:
      case Kind::kBool:
      case Kind::kInt:
      case Kind::kFloat:
        return out_.Append(Scalar(value), kMade);
      default:
        break;
    }
    if (value.Is(Kind::kUndefined)) CheckDefined(context_, value);
    context_.Raise("has no JSON form", std::string(value.TypeName()));
  }

  Text Take() { return std::move(out_); }

 private:
  static std::string Scalar(const Value& value) {
    if (value.Is(Kind::kNone)) return "null";
    if (value.Is(Kind::kBool)) return value.boolean() ? "true" : "false";
    if (value.Is(Kind::kInt)) return std::to_string(value.integer());
    const std::string text = FloatRepr(value.real());
    return text == "nan" ? "NaN" : text == "inf" ? "Infinity" : text == "-inf" ? "-Infinity" : text;
  }

  void WriteString(const Text& text) {
    context_.ReserveText(static_cast<int64_t>(text.size()));
    out_.Push('"', kMade);
    for (size_t i = 0; i < text.size(); ++i) {
      const char32_t c = text[i];
      const Origin origin = text.OriginAt(i);
      if (const char32_t letter = ShortEscape(c); letter != 0) {
        out_.Push('\\', origin);
        out_.Push(letter, origin);
      } else if (c < 0x20 || (style_.ascii && c > 0x7E && c < 0x10000)) {
        out_.Append(fmt::format("\\u{:04x}", static_cast<uint32_t>(c)), origin);
      } else if (style_.ascii && c >= 0x10000) {
        const uint32_t rest = static_cast<uint32_t>(c) - 0x10000;
        out_.Append(fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF)), origin);
      } else {
        out_.Push(c, origin);
      }
    }
    out_.Push('"', kMade);
  }

  void NewLine(int depth) {
    if (!style_.indent) return;
    out_.Push('\n', kMade);
    for (int i = 0; i < depth; ++i) out_.Append(*style_.indent);
  }

  void WriteList(const Values& items, int depth) {
    if (items.empty()) return out_.Append("[]", kMade);
    out_.Push('[', kMade);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.Append(item_separator_);
      NewLine(depth + 1);
      Write(items[i], depth + 1);
    }
    NewLine(depth);
    out_.Push(']', kMade);
  }

  void WriteDict(const Dict& dict, int depth) {
    if (dict.entries.empty()) return out_.Append("{}", kMade);
    std::vector<const DictEntry*> entries;
    for (const DictEntry& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const auto* left, const auto* right) { return Less(context_, left->key, right->key); });
    }
    out_.Push('{', kMade);
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out_.Append(item_separator_);
      NewLine(depth + 1);
      WriteKey(entries[i]->key);
      out_.Append(key_separator_);
      Write(entries[i]->value, depth + 1);
    }
    NewLine(depth);
    out_.Push('}', kMade);
  }

  void WriteKey(const Value& key) {
    if (key.Is(Kind::kString)) return WriteString(key.text());
    if (!key.IsNumber() && !key.Is(Kind::kNone)) context_.Raise("is no key in JSON", std::string(key.TypeName()));
    WriteString(Text(Scalar(key), kMade));
  }

  Context& context_;
  const JsonStyle& style_;
  Text item_separator_;
  Text key_separator_;
  Text out_;
};

}  // namespace

Value FromJson(Context& context, const nlohmann::ordered_json& document, Origin origin) {
  const Context::Level level(context);
  context.Charge();
  switch (document.type()) {
    case nlohmann::ordered_json::value_t::null:
      return Value::None();
    case nlohmann::ordered_json::value_t::boolean:
      return Value::Bool(document.get<bool>());
    case nlohmann::ordered_json::value_t::number_integer:
      return Value::Int(document.get<int64_t>());
    case nlohmann::ordered_json::value_t::number_unsigned:
      if (document.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return Value::Float(document.get<double>());
      return Value::Int(document.get<int64_t>());
    case nlohmann::ordered_json::value_t::number_float:
      return Value::Float(document.get<double>());
    case nlohmann::ordered_json::value_t::string:
      return context.String(document.get_ref<const std::string&>(), origin);
    case nlohmann::ordered_json::value_t::array: {
      Values items;
      for (const auto& item : document) items.push_back(FromJson(context, item, origin));
      return context.NewList(std::move(items));
    }
    case nlohmann::ordered_json::value_t::object: {
      std::vector<DictEntry> entries;
      for (const auto& [key, item] : document.items()) {
        Value name = context.String(key, origin);
        entries.push_back({std::move(name), FromJson(context, item, origin)});
      }
      return context.NewDict(std::move(entries));
    }
    default:
      context.Raise("a JSON value that is none", document.type_name());
  }
}

Text ToJson(Context& context, const Value& value, const JsonStyle& style) {
  JsonWriter writer(context, style);
  writer.Write(value, 0);
  Text text = writer.Take();
  context.ReserveText(static_cast<int64_t>(text.size()));
  return text;
}

}  // namespace nla::jinja
