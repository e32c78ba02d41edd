// Look-ups in the tables, and the binding of arguments to parameters.
#include "text/jinja/builtins.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace nla::jinja {
namespace {

template <typename Entry>
const Entry* FindIn(std::span<const Entry> table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Entry& entry) { return entry.name == name; });
  return found == table.end() ? nullptr : &*found;
}

template <size_t kCount>
bool Among(const std::array<std::string_view, kCount>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Params::Params(Context& context, std::string_view function, const CallArgs& args,
               std::initializer_list<std::string_view> names)
    : context_(context), function_(function), names_(names), found_(names.size(), nullptr) {
  if (args.positional.size() > names_.size()) {
    context_.Raise(fmt::format("{}() has too many arguments", function_), std::to_string(args.positional.size()),
                   fmt::format("at most {}", names_.size()));
  }
  for (size_t i = 0; i < args.positional.size(); ++i) found_[i] = &args.positional[i];
  for (const auto& [name, value] : args.named) {
    const auto at = std::find(names_.begin(), names_.end(), name) - names_.begin();
    if (at == static_cast<ptrdiff_t>(names_.size())) {
      context_.Raise(fmt::format("{}() has an argument that is not known", function_), name);
    }
    if (found_[static_cast<size_t>(at)] != nullptr) {
      context_.Raise(fmt::format("{}() has an argument twice", function_), name);
    }
    found_[static_cast<size_t>(at)] = &value;
  }
}

const Value& Params::Need(size_t i) const {
  if (found_[i] == nullptr)
    context_.Raise(fmt::format("{}() lacks an argument", function_), "", std::string(names_[i]));
  return *found_[i];
}

int64_t Params::Int(size_t i, int64_t otherwise) const {
  if (!Given(i)) return otherwise;
  if (!found_[i]->IsIntegral()) {
    context_.Raise(fmt::format("{}(): {} has the wrong type", function_, names_[i]), std::string(found_[i]->TypeName()),
                   "int");
  }
  return found_[i]->AsInt();
}

const Text* Params::String(size_t i) const { return Given(i) ? &NeedString(i) : nullptr; }

const Text& Params::NeedString(size_t i) const {
  if (!Need(i).Is(Kind::kString)) {
    context_.Raise(fmt::format("{}(): {} has the wrong type", function_, names_[i]), std::string(found_[i]->TypeName()),
                   "str");
  }
  return found_[i]->text();
}

const Filter* FindFilter(std::string_view name) {
  for (const auto table : {TextFilters(), SequenceFilters(), SelectionFilters(), NumberFilters()}) {
    if (const Filter* found = FindIn(table, name)) return found;
  }
  return nullptr;
}

const Method* FindMethod(const Value& self, std::string_view name) {
  for (const auto table : {StringMethods(), StringTestMethods(), ContainerMethods()}) {
    for (const Method& method : table) {
      if (method.kind == self.kind() && method.name == name) {
        const bool has = !self.Is(Kind::kSequence) || self.sequence().Indexed();
        return has ? &method : nullptr;
      }
    }
  }
  return nullptr;
}

bool IsUnsupportedMethod(std::string_view name) {
  constexpr std::array<std::string_view, 17> kNames = {
      "encode",     "translate", "maketrans",  "isidentifier", "isascii",  "isprintable",
      "istitle",    "fromkeys",  "format_map", "bit_length",   "to_bytes", "as_integer_ratio",
      "is_integer", "hex",       "tobytes",    "isoformat",    "strftime"};
  return Among(kNames, name);
}

bool IsUnsupportedGlobal(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {"cycler", "joiner", "lipsum", "super", "self", "_"};
  return Among(kNames, name);
}

bool IsMutatingMethod(const Value& self, std::string_view name) {
  constexpr std::array<std::string_view, 5> kOfDict = {"clear", "pop", "popitem", "setdefault", "update"};
  constexpr std::array<std::string_view, 8> kOfList = {"append", "clear",  "extend",  "insert",
                                                       "pop",    "remove", "reverse", "sort"};
  if (self.Is(Kind::kDict)) return Among(kOfDict, name);
  return self.Is(Kind::kSequence) && self.sequence().form == Sequence::Form::kList && Among(kOfList, name);
}

}  // namespace nla::jinja
