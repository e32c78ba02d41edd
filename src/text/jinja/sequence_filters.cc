// Filters that make or reorder sequences, or take one item of them.
#include <algorithm>
#include <array>

#include "text/jinja/attribute_path.h"
#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"

namespace nla::jinja {
namespace {

Value Length(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "length", args, {});
  return Value::Int(LengthOf(context, input));
}

Value MakeList(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "list", args, {});
  return context.NewList(ItemsOf(context, input));
}

Value First(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "first", args, {});
  const Values items = ItemsOf(context, input);
  return items.empty() ? Value::Undefined("there is no first item: the sequence is empty") : items.front();
}

Value Last(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "last", args, {});
  LengthOf(context, input);
  const Values items = ItemsOf(context, input);
  return items.empty() ? Value::Undefined("there is no last item: the sequence is empty") : items.back();
}

Value Reverse(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "reverse", args, {});
  if (input.Is(Kind::kString)) {
    Text made;
    for (size_t i = input.text().size(); i > 0; --i) made.Append(input.text(), i - 1, 1);
    return context.String(std::move(made));
  }
  Values items = ItemsOf(context, input);
  std::reverse(items.begin(), items.end());
  return context.NewIterator(std::move(items));
}

Value Items(Context& context, const Value& input, const CallArgs& args) {
  const Params none(context, "items", args, {});
  Values pairs;
  if (input.Is(Kind::kUndefined)) return context.NewIterator({});
  if (!input.Is(Kind::kDict)) context.Raise("items() has the wrong type", std::string(input.TypeName()), "dict");
  for (const DictEntry& entry : input.dict().entries) pairs.push_back(context.NewTuple({entry.key, entry.value}));
  return context.NewIterator(std::move(pairs));
}

// Sorts values by keys computed beforehand; stable.
Values SortedBy(Context& context, Values values, const Values& keys, bool reverse) {
  std::vector<size_t> order(values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t left, size_t right) {
    return reverse ? Less(context, keys[right], keys[left]) : Less(context, keys[left], keys[right]);
  });
  Values sorted;
  for (const size_t i : order) sorted.push_back(values[i]);
  return sorted;
}

Value Sort(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "sort", args, {"reverse", "case_sensitive", "attribute"});
  const bool case_sensitive = params.Flag(1, false);
  std::vector<AttributePath> paths;
  std::vector<Value> names;
  if (params.Get(2) != nullptr && params.Get(2)->Is(Kind::kString)) {
    const Text comma(",", Origin::kTemplate);
    for (Text& name : SplitText(params.Get(2)->text(), &comma, -1, false)) {
      names.push_back(Value::String(std::move(name)));
    }
  } else {
    names.push_back(params.Get(2) != nullptr ? *params.Get(2) : Value::None());
  }
  for (const Value& name : names) paths.emplace_back(context, &name);
  Values items = ItemsOf(context, input);
  Values keys;
  for (const Value& item : items) {
    Values parts;
    for (const AttributePath& path : paths) parts.push_back(SortKey(context, path.Of(item), case_sensitive));
    keys.push_back(context.NewTuple(std::move(parts)));
  }
  return context.NewList(SortedBy(context, std::move(items), keys, params.Flag(0, false)));
}

Value DictSort(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "dictsort", args, {"case_sensitive", "by", "reverse"});
  CheckDefined(context, input);
  if (!input.Is(Kind::kDict)) context.Raise("dictsort() has the wrong type", std::string(input.TypeName()), "dict");
  const Text* by = params.String(1);
  const bool by_value = by != nullptr && *by == "value";
  if (by != nullptr && !by_value && !(*by == "key"))
    context.Raise("dictsort() sorts by \"key\" or \"value\"", by->Utf8());
  Values pairs;
  Values keys;
  for (const DictEntry& entry : input.dict().entries) {
    pairs.push_back(context.NewTuple({entry.key, entry.value}));
    keys.push_back(SortKey(context, by_value ? entry.value : entry.key, params.Flag(0, false)));
  }
  return context.NewList(SortedBy(context, std::move(pairs), keys, params.Flag(2, false)));
}

Value Unique(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "unique", args, {"case_sensitive", "attribute"});
  const AttributePath path(context, params.Get(1));
  Values kept;
  Values seen;
  for (const Value& item : ItemsOf(context, input)) {
    Value key = SortKey(context, path.Of(item), params.Flag(0, false));
    if (!IsHashable(key)) context.Raise("unique() compares what cannot be a key", std::string(key.TypeName()));
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& other) { return Equal(context, other, key); })) continue;
    seen.push_back(std::move(key));
    kept.push_back(item);
  }
  return context.NewIterator(std::move(kept));
}

template <bool kLargest>
Value Extreme(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, kLargest ? "max" : "min", args, {"case_sensitive", "attribute"});
  const AttributePath path(context, params.Get(1));
  Value best = Value::Undefined("there is no largest or smallest item: the sequence is empty");
  Value best_key;
  bool first = true;
  for (const Value& item : ItemsOf(context, input)) {
    Value key = SortKey(context, path.Of(item), params.Flag(0, false));
    const bool better = first || (kLargest ? Less(context, best_key, key) : Less(context, key, best_key));
    first = false;
    if (!better) continue;
    best = item;
    best_key = std::move(key);
  }
  return best;
}

Value Batch(Context& context, const Value& input, const CallArgs& args) {
  const Params params(context, "batch", args, {"linecount", "fill_with"});
  const int64_t size = params.Need(0).IsIntegral() ? params.Int(0, 0) : 0;
  if (size < 1) context.Raise("batch() needs a size of at least 1");
  Values batches;
  Values batch;
  for (const Value& item : ItemsOf(context, input)) {
    if (static_cast<int64_t>(batch.size()) == size) batches.push_back(context.NewList(std::exchange(batch, {})));
    batch.push_back(item);
  }
  if (!batch.empty()) {
    if (params.Get(1) != nullptr && !params.Get(1)->Is(Kind::kNone)) {
      context.ReserveItems(size);
      batch.resize(static_cast<size_t>(size), *params.Get(1));
    }
    batches.push_back(context.NewList(std::move(batch)));
  }
  return context.NewIterator(std::move(batches));
}

constexpr std::array<Filter, 13> kFilters = {{
    {"length", Length},
    {"count", Length},
    {"list", MakeList},
    {"first", First},
    {"last", Last},
    {"reverse", Reverse},
    {"items", Items},
    {"sort", Sort},
    {"dictsort", DictSort},
    {"unique", Unique},
    {"min", Extreme<false>},
    {"max", Extreme<true>},
    {"batch", Batch},
}};

}  // namespace

std::span<const Filter> SequenceFilters() { return kFilters; }

}  // namespace nla::jinja
