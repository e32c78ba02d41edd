// Methods of dict, list and tuple that change nothing.
#include <array>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

Value View(Context& context, Values items, std::string_view name) {
  context.ReserveItems(static_cast<int64_t>(items.size()));
  Sequence view(Sequence::Form::kView, std::move(items));
  view.view = name;
  return Value::Of(std::make_shared<const Sequence>(std::move(view)));
}

Value Get(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "get", args, {"key", "default"});
  if (!IsHashable(params.Need(0))) context.Raise("cannot be a key", std::string(params.Need(0).TypeName()));
  if (const Value* found = FindKey(context, self.dict(), params.Need(0))) return *found;
  return params.Get(1) != nullptr ? *params.Get(1) : Value::None();
}

Value Items(Context& context, const Value& self, const CallArgs& args) {
  const Params none(context, "items", args, {});
  Values pairs;
  for (const DictEntry& entry : self.dict().entries) pairs.push_back(context.NewTuple({entry.key, entry.value}));
  return View(context, std::move(pairs), "dict_items");
}

Value Keys(Context& context, const Value& self, const CallArgs& args) {
  const Params none(context, "keys", args, {});
  Values keys;
  for (const DictEntry& entry : self.dict().entries) keys.push_back(entry.key);
  return View(context, std::move(keys), "dict_keys");
}

Value ValuesOf(Context& context, const Value& self, const CallArgs& args) {
  const Params none(context, "values", args, {});
  Values values;
  for (const DictEntry& entry : self.dict().entries) values.push_back(entry.value);
  return View(context, std::move(values), "dict_values");
}

Value Copy(Context& context, const Value& self, const CallArgs& args) {
  const Params none(context, "copy", args, {});
  return self;
}

Value Count(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "count", args, {"value"});
  int64_t count = 0;
  for (const Value& item : self.sequence().items) count += Equal(context, item, params.Need(0)) ? 1 : 0;
  return Value::Int(count);
}

Value Index(Context& context, const Value& self, const CallArgs& args) {
  const Params params(context, "index", args, {"value"});
  const Values& items = self.sequence().items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (Equal(context, items[i], params.Need(0))) return Value::Int(static_cast<int64_t>(i));
  }
  context.Raise("index(): the list does not hold the value");
}

constexpr std::array<Method, 8> kMethods = {{
    {Kind::kDict, "get", Get},
    {Kind::kDict, "items", Items},
    {Kind::kDict, "keys", Keys},
    {Kind::kDict, "values", ValuesOf},
    {Kind::kDict, "copy", Copy},
    {Kind::kSequence, "count", Count},
    {Kind::kSequence, "index", Index},
    {Kind::kSequence, "copy", Copy},
}};

}  // namespace

std::span<const Method> ContainerMethods() { return kMethods; }

}  // namespace nla::jinja
