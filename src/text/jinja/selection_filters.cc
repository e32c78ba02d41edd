// map, select, reject and their like, and default.
#include <array>

#include "text/jinja/attribute_path.h"
#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

// The arguments behind the first `count`.
CallArgs Behind(const CallArgs& args, size_t count) {
  CallArgs rest = args;
  rest.positional.erase(rest.positional.begin(), rest.positional.begin() + static_cast<ptrdiff_t>(count));
  return rest;
}

const Text& NameOf(const Context& context, const Value& name) {
  if (!name.Is(Kind::kString)) {
    context.Raise("the name of a filter or test has the wrong type", std::string(name.TypeName()), "str");
  }
  return name.text();
}

Value Map(Context& context, const Value& input, const CallArgs& args) {
  Values made;
  if (args.positional.empty()) {
    const Params params(context, "map", args, {"attribute", "default"});
    const AttributePath path(context, &params.Need(0), params.Get(1));
    for (const Value& item : ItemsOf(context, input)) made.push_back(path.Of(item));
    return context.NewIterator(std::move(made));
  }
  const std::string name = NameOf(context, args.positional[0]).Utf8();
  const Filter* filter = FindFilter(name);
  if (filter == nullptr) context.Raise("filter not supported in a chat template", name);
  const CallArgs rest = Behind(args, 1);
  for (const Value& item : ItemsOf(context, input)) {
    context.Charge();
    made.push_back(filter->run(context, item, rest));
  }
  return context.NewIterator(std::move(made));
}

template <bool kKeep, bool kAttribute>
Value Select(Context& context, const Value& input, const CallArgs& args) {
  constexpr size_t kBefore = kAttribute ? 1 : 0;  // arguments before the test's name
  if (args.positional.size() < kBefore) context.Raise("this filter needs the name of an attribute");
  const AttributePath path(context, kAttribute ? &args.positional[0] : nullptr);
  const bool tested = args.positional.size() > kBefore;
  const Test* test = nullptr;
  if (tested) {
    const std::string name = NameOf(context, args.positional[kBefore]).Utf8();
    test = FindTest(name);
    if (test == nullptr) context.Raise("test not supported in a chat template", name);
  }
  const CallArgs rest = Behind(args, tested ? kBefore + 1 : kBefore);
  Values kept;
  for (const Value& item : ItemsOf(context, input)) {
    context.Charge();
    const Value value = path.Of(item);
    const bool passes = tested ? test->run(context, value, rest) : value.Truth();
    if (passes == kKeep) kept.push_back(item);
  }
  return context.NewIterator(std::move(kept));
}

Value Default(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "default", args, {"default_value", "boolean"});
  const bool replaced = input.Is(Kind::kUndefined) || (params.Flag(1, false) && !input.Truth());
  if (!replaced) return input;
  return params.Get(0) != nullptr ? *params.Get(0) : context.String("", Origin::kTemplate);
}

constexpr std::array<Filter, 7> kFilters = {{
    {"map", Map},
    {"select", Select<true, false>},
    {"reject", Select<false, false>},
    {"selectattr", Select<true, true>},
    {"rejectattr", Select<false, true>},
    {"default", Default},
    {"d", Default},
}};

}  // namespace

std::span<const Filter> SelectionFilters() { return kFilters; }

}  // namespace nla::jinja
