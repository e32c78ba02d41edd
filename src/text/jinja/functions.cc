// The functions of the global scope: range, dict, namespace, raise_exception, strftime_now.
#include <algorithm>
#include <array>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // of Jinja's sandbox

Value Range(Context& context, const CallArgs& args) {
  const Params params(context, "range", args, {"start", "stop", "step"});
  const bool one = args.positional.size() == 1;
  params.Need(0);
  const int64_t start = one ? 0 : params.Int(0, 0);
  const int64_t stop = one ? params.Int(0, 0) : params.Int(1, 0);
  const int64_t step = params.Int(2, 1);
  if (step == 0) context.Raise("range() has the step 0");
  Values items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<int64_t>(items.size()) == kMaxRange) {
      context.Raise("range() is too long", "", "at most 100000 items");
    }
    items.push_back(Value::Int(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  context.ReserveItems(static_cast<int64_t>(items.size()));
  return Value::Of(std::make_shared<const Sequence>(Sequence::Form::kRange, std::move(items)));
}

// What dict(...) makes of a mapping or of pairs, and of named arguments.
std::vector<DictEntry> EntriesOf(Context& context, const CallArgs& args) {
  std::vector<DictEntry> entries;
  const auto put = [&](const Value& key, const Value& value) {
    context.ChargeSize(entries.size());
    if (!IsHashable(key)) context.Raise("cannot be a key", std::string(key.TypeName()));
    for (DictEntry& entry : entries) {
      if (!Equal(context, entry.key, key)) continue;
      entry.value = value;
      return;
    }
    entries.push_back({key, value});
  };
  if (args.positional.size() > 1) context.Raise("dict() has too many arguments");
  for (const Value& source : args.positional) {
    CheckDefined(context, source);
    if (source.Is(Kind::kDict)) {
      for (const DictEntry& entry : source.dict().entries) put(entry.key, entry.value);
      continue;
    }
    for (const Value& pair : ItemsOf(context, source)) {
      const Values parts = ItemsOf(context, pair);
      if (parts.size() != 2) context.Raise("dict() needs pairs", std::to_string(parts.size()) + " values", "2");
      put(parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : args.named) put(context.String(name, Origin::kTemplate), value);
  return entries;
}

Value MakeDict(Context& context, const CallArgs& args) { return context.NewDict(EntriesOf(context, args)); }

Value MakeNamespace(Context& context, const CallArgs& args) {
  std::vector<std::pair<std::string, Value>> fields;
  for (const DictEntry& entry : EntriesOf(context, args)) {
    if (!entry.key.Is(Kind::kString)) context.Raise("a namespace's field needs a name");
    std::string name = entry.key.text().Utf8();
    CheckFieldName(context, name);
    fields.emplace_back(std::move(name), entry.value);
  }
  return context.NewNamespace(std::move(fields));
}

Value RaiseException(Context& context, const CallArgs& args) {
  const Params params(context, "raise_exception", args, {"message"});
  context.Raise(ToText(context, params.Need(0)).Utf8());
}

Value StrftimeNow(Context& context, const CallArgs& args) {
  const Params params(context, "strftime_now", args, {"format"});
  std::string problem;
  const auto formatted = FormatTime(context.date(), params.NeedString(0).Utf8(), problem);
  if (!formatted) context.Raise("strftime_now() does not know a conversion", problem);
  return context.String(*formatted, Origin::kMessage);
}

constexpr std::array<Function, 5> kFunctions = {{{"range", Range},
                                                 {"dict", MakeDict},
                                                 {"namespace", MakeNamespace},
                                                 {"raise_exception", RaiseException},
                                                 {"strftime_now", StrftimeNow}}};

}  // namespace

const Function* FindFunction(std::string_view name) {
  const auto found = std::find_if(kFunctions.begin(), kFunctions.end(),
                                  [&](const Function& function) { return function.name == name; });
  return found == kFunctions.end() ? nullptr : &*found;
}

}  // namespace nla::jinja
