// Comparison, membership and iteration.
#include "text/jinja/operators.h"

#include <fmt/format.h>

#include <algorithm>

namespace nla::jinja {
namespace {

bool EqualItems(Context& context, const Values& left, const Values& right) {
  if (left.size() != right.size()) return false;
  for (size_t i = 0; i < left.size(); ++i) {
    if (!Equal(context, left[i], right[i])) return false;
  }
  return true;
}

bool EqualSequences(Context& context, const Sequence& left, const Sequence& right) {
  if (&left == &right) return true;
  if (left.form != right.form || !left.Indexed()) return false;
  return EqualItems(context, left.items, right.items);
}

bool EqualDicts(Context& context, const Dict& left, const Dict& right) {
  if (left.entries.size() != right.entries.size()) return false;
  for (const DictEntry& entry : left.entries) {
    const Value* other = FindKey(context, right, entry.key);
    if (other == nullptr || !Equal(context, entry.value, *other)) return false;
  }
  return true;
}

[[noreturn]] void RaiseUnordered(const Context& context, const Value& left, const Value& right) {
  context.Raise("values that have no order are compared", fmt::format("{} and {}", left.TypeName(), right.TypeName()),
                "two numbers, two strings or two lists");
}

bool LessItems(Context& context, const Values& left, const Values& right) {
  for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (!Equal(context, left[i], right[i])) return Less(context, left[i], right[i]);
  }
  return left.size() < right.size();
}

}  // namespace

void CheckDefined(const Context& context, const Value& value) {
  if (value.Is(Kind::kUndefined)) context.Raise(value.why_undefined());
}

void CheckFieldName(const Context& context, std::string_view name) {
  if (name.starts_with('_')) {
    context.Raise("a namespace's field begins with an underscore", std::string(name), "another name");
  }
}

bool Equal(Context& context, const Value& left, const Value& right) {
  const Context::Level level(context);
  context.Charge();
  if (left.IsNumber() && right.IsNumber()) {
    if (left.IsIntegral() && right.IsIntegral()) return left.AsInt() == right.AsInt();
    return left.AsDouble() == right.AsDouble();
  }
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::kString:
      if (left.text().size() == right.text().size()) context.ChargeSize(left.text().size());
      return left.text() == right.text();
    case Kind::kSequence:
      return EqualSequences(context, left.sequence(), right.sequence());
    case Kind::kDict:
      return EqualDicts(context, left.dict(), right.dict());
    case Kind::kNamespace:
      return &left.space() == &right.space();
    case Kind::kLoop:
      return &left.loop() == &right.loop();
    case Kind::kCallable:
      return &left.callable() == &right.callable();
    default:
      return true;  // undefined, none
  }
}

bool Less(Context& context, const Value& left, const Value& right) {
  const Context::Level level(context);
  context.Charge();
  CheckDefined(context, left);
  CheckDefined(context, right);
  if (left.IsNumber() && right.IsNumber()) {
    if (left.IsIntegral() && right.IsIntegral()) return left.AsInt() < right.AsInt();
    return left.AsDouble() < right.AsDouble();
  }
  if (left.Is(Kind::kString) && right.Is(Kind::kString)) {
    context.ChargeSize(std::min(left.text().size(), right.text().size()));
    return left.text() < right.text();
  }
  const bool sequences = left.Is(Kind::kSequence) && right.Is(Kind::kSequence);
  if (!sequences || left.sequence().form != right.sequence().form || left.sequence().form > Sequence::Form::kTuple) {
    RaiseUnordered(context, left, right);
  }
  return LessItems(context, left.sequence().items, right.sequence().items);
}

const Value* FindKey(Context& context, const Dict& dict, const Value& key) {
  if (!IsHashable(key)) return nullptr;
  context.ChargeSize(dict.entries.size());
  for (const DictEntry& entry : dict.entries) {
    const bool same = key.Is(Kind::kString) && entry.key.Is(Kind::kString) ? key.text() == entry.key.text()
                                                                           : Equal(context, entry.key, key);
    if (same) return &entry.value;
  }
  return nullptr;
}

bool Contains(Context& context, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kUndefined:
      return false;
    case Kind::kString:
      if (!item.Is(Kind::kString)) {
        context.Raise("\"in\" a string needs a string", std::string(item.TypeName()), "str");
      }
      context.ChargeSize(container.text().size() + item.text().size());
      return container.text().Find(item.text()) != Text::npos;
    case Kind::kDict:
      if (!IsHashable(item)) context.Raise("cannot be a key", std::string(item.TypeName()));
      return FindKey(context, container.dict(), item) != nullptr;
    default:
      break;
  }
  for (const Value& candidate : ItemsOf(context, container)) {
    if (Equal(context, candidate, item)) return true;
  }
  return false;
}

bool Compare(Context& context, CompareOp op, const Value& left, const Value& right) {
  switch (op) {
    case CompareOp::kEqual:
      return Equal(context, left, right);
    case CompareOp::kNotEqual:
      return !Equal(context, left, right);
    case CompareOp::kLess:
      return Less(context, left, right);
    case CompareOp::kLessEqual:
      return Less(context, left, right) || Equal(context, left, right);
    case CompareOp::kGreater:
      return Less(context, right, left);
    case CompareOp::kGreaterEqual:
      return Less(context, right, left) || Equal(context, left, right);
    case CompareOp::kIn:
      return Contains(context, right, left);
    case CompareOp::kNotIn:
      return !Contains(context, right, left);
  }
  return false;
}

Values ItemsOf(Context& context, const Value& value) {
  Values items;
  switch (value.kind()) {
    case Kind::kUndefined:
      return items;
    case Kind::kString:
      context.ReserveItems(static_cast<int64_t>(value.text().size()));
      for (size_t i = 0; i < value.text().size(); ++i) items.push_back(context.String(value.text().Slice(i, 1)));
      return items;
    case Kind::kSequence: {
      const Sequence& sequence = value.sequence();
      context.ReserveItems(static_cast<int64_t>(sequence.items.size()));
      if (sequence.form == Sequence::Form::kIterator && std::exchange(sequence.spent, true)) return items;
      return sequence.items;
    }
    case Kind::kDict:
      context.ReserveItems(static_cast<int64_t>(value.dict().entries.size()));
      for (const DictEntry& entry : value.dict().entries) items.push_back(entry.key);
      return items;
    default:
      context.Raise("the chat template goes over what has no items", std::string(value.TypeName()),
                    "a list, dict or string");
  }
}

int64_t LengthOf(Context& context, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      return static_cast<int64_t>(value.text().size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().entries.size());
    case Kind::kLoop:
      return static_cast<int64_t>(value.loop().items.size());
    case Kind::kSequence:
      if (value.sequence().form != Sequence::Form::kIterator) {
        return static_cast<int64_t>(value.sequence().items.size());
      }
      [[fallthrough]];
    default:
      context.Raise("the chat template asks for the length of what has none", std::string(value.TypeName()),
                    "a list, dict or string");
  }
}

}  // namespace nla::jinja
