// Attributes, items and slices. The sandbox's rules: what would change an object, or reach behind it, is undefined.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

Value Missing(Context& context, const Value& object, const Value& key) {
  const std::string name = key.Is(Kind::kString) ? fmt::format("'{}'", key.text().Slice(0, 60).Utf8())
                                                 : Repr(context, key).Slice(0, 60).Utf8();
  if (!key.Is(Kind::kString))
    return Value::Undefined(fmt::format("{} object has no element {}", object.TypeName(), name));
  return Value::Undefined(fmt::format("'{} object' has no attribute {}", object.TypeName(), name));
}

Value LoopAttribute(const LoopState& loop, std::string_view name) {
  const auto index = static_cast<int64_t>(loop.index);
  const auto length = static_cast<int64_t>(loop.items.size());
  if (name == "index") return Value::Int(index + 1);
  if (name == "index0") return Value::Int(index);
  if (name == "revindex") return Value::Int(length - index);
  if (name == "revindex0") return Value::Int(length - index - 1);
  if (name == "first") return Value::Bool(index == 0);
  if (name == "last") return Value::Bool(index + 1 == length);
  if (name == "length") return Value::Int(length);
  if (name == "depth") return Value::Int(1);  // of recursion, which is not supported
  if (name == "depth0") return Value::Int(0);
  if (name == "previtem")
    return index == 0 ? Value::Undefined("there is no previous item") : loop.items[loop.index - 1];
  if (name == "nextitem") {
    return index + 1 == length ? Value::Undefined("there is no next item") : loop.items[loop.index + 1];
  }
  return Value::Undefined(fmt::format("'LoopContext object' has no attribute '{}'", name));
}

// The bound method or what a namespace or loop holds; nothing when the object has no such attribute.
std::optional<Value> OwnAttribute(const Value& object, const Text& attribute) {
  const std::string name = attribute.Utf8();
  if (object.Is(Kind::kNamespace)) {
    for (const auto& [field, value] : object.space().fields) {
      if (field == name) return value;
    }
    return std::nullopt;
  }
  if (object.Is(Kind::kLoop) && name != "cycle") return LoopAttribute(object.loop(), name);
  const bool is_method = object.Is(Kind::kLoop) || FindMethod(object, name) != nullptr;
  if (is_method) {
    return Value::Of(
        std::make_shared<const Callable>(Callable{.form = Callable::Form::kMethod, .name = name, .self = object}));
  }
  if (IsMutatingMethod(object, name)) {
    return Value::Undefined(fmt::format("access to attribute '{}' of '{}' object is unsafe", name, object.TypeName()));
  }
  return std::nullopt;
}

// Resolves a possibly negative index; false when it is out of range.
bool ResolveIndex(int64_t index, size_t size, size_t& at) {
  const auto length = static_cast<int64_t>(size);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return false;
  at = static_cast<size_t>(index);
  return true;
}

struct SliceBounds {
  int64_t start, stop, step;
};

// Python's slice.indices.
SliceBounds ResolveSlice(const Value* start, const Value* stop, int64_t step, int64_t length) {
  const auto clamp = [&](const Value* bound, int64_t otherwise) {
    if (bound == nullptr || bound->Is(Kind::kNone)) return otherwise;
    int64_t at = bound->AsInt();
    if (at < 0) at = std::max<int64_t>(at, -length - 1) + length;
    return step > 0 ? std::clamp<int64_t>(at, 0, length) : std::clamp<int64_t>(at, -1, length - 1);
  };
  return {clamp(start, step > 0 ? 0 : length - 1), clamp(stop, step > 0 ? length : -1), step};
}

}  // namespace

Value GetAttribute(Context& context, const Value& object, const Text& name) {
  CheckDefined(context, object);
  if (auto own = OwnAttribute(object, name)) return *own;
  if (object.Is(Kind::kDict)) {
    context.ChargeSize(object.dict().entries.size());
    if (const Value* found = object.dict().Find(name)) return *found;
  }
  return Missing(context, object, Value::String(name));
}

Value GetItem(Context& context, const Value& object, const Value& key) {
  CheckDefined(context, object);
  if (object.Is(Kind::kDict)) {
    if (const Value* found = FindKey(context, object.dict(), key)) return *found;
  }
  size_t at = 0;
  if (key.IsIntegral() && object.Is(Kind::kString) && ResolveIndex(key.AsInt(), object.text().size(), at)) {
    return context.String(object.text().Slice(at, 1));
  }
  if (key.IsIntegral() && object.Is(Kind::kSequence) && object.sequence().Indexed() &&
      ResolveIndex(key.AsInt(), object.sequence().items.size(), at)) {
    return object.sequence().items[at];
  }
  if (key.Is(Kind::kString)) {
    if (auto own = OwnAttribute(object, key.text())) return *own;
  }
  return Missing(context, object, key);
}

Value GetSlice(Context& context, const Value& object, const Value* start, const Value* stop, const Value* step_value) {
  CheckDefined(context, object);
  const bool sliced = object.Is(Kind::kString) || (object.Is(Kind::kSequence) && object.sequence().Indexed());
  for (const Value* bound : {start, stop, step_value}) {
    if (bound != nullptr && !bound->Is(Kind::kNone) && !bound->IsIntegral()) {
      context.Raise("a slice has a bound of the wrong type", std::string(bound->TypeName()), "int");
    }
  }
  if (!sliced) context.Raise("a slice of what has none", std::string(object.TypeName()), "a list or string");
  const int64_t step = step_value == nullptr || step_value->Is(Kind::kNone) ? 1 : step_value->AsInt();
  if (step == 0) context.Raise("a slice of the chat template has the step 0");
  const SliceBounds bounds = ResolveSlice(start, stop, step, LengthOf(context, object));
  Text text;
  Values items;
  for (int64_t i = bounds.start; step > 0 ? i < bounds.stop : i > bounds.stop;) {
    if (object.Is(Kind::kString)) {
      text.Append(object.text(), static_cast<size_t>(i), 1);
    } else {
      items.push_back(object.sequence().items[static_cast<size_t>(i)]);
    }
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  if (object.Is(Kind::kString)) return context.String(std::move(text));
  if (object.sequence().form == Sequence::Form::kTuple) return context.NewTuple(std::move(items));
  if (object.sequence().form == Sequence::Form::kList) return context.NewList(std::move(items));
  context.ReserveItems(static_cast<int64_t>(items.size()));
  return Value::Of(std::make_shared<const Sequence>(Sequence::Form::kRange, std::move(items)));
}

}  // namespace nla::jinja
