// Limits and ownership of a rendering.
#include "text/jinja/context.h"

#include <fmt/format.h>

#include "base/fail.h"

namespace nla::jinja {

void Scope::Set(std::string_view name, Value value) {
  for (auto& [known, old] : variables_) {
    if (known == name) {
      old = std::move(value);
      return;
    }
  }
  variables_.emplace_back(name, std::move(value));
}

const Value* Scope::Find(std::string_view name, size_t& scanned) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent_) {
    scanned += scope->variables_.size();
    for (const auto& [known, value] : scope->variables_) {
      if (known == name) return &value;
    }
  }
  return nullptr;
}

void Scope::Keep() {
  for (Scope* scope = this; scope != nullptr && !scope->kept_; scope = scope->parent_) scope->kept_ = true;
}

void Context::Raise(const std::string& what, const std::string& found, const std::string& wanted) const {
  Fail({.where = fmt::format("{}: line {}", where_, line_), .what = what, .found = found, .wanted = wanted});
}

void Context::RaiseTooLong() const {
  Raise("the chat template takes too long to render", "", fmt::format("at most {} steps", limits_.steps));
}

void Context::RaiseTooDeep() const {
  Raise("the chat template recurses too deep", "", fmt::format("at most {} levels", limits_.recursion));
}

void Context::ReserveText(int64_t characters) {
  used_text_ += characters;
  Charge(1 + characters / 64);
  if (characters > limits_.text) {
    Raise("the chat template makes too long a string", fmt::format("{} characters", characters),
          fmt::format("at most {}", limits_.text));
  }
  if (used_text_ > limits_.all_text) {
    Raise("the chat template makes too much text", "", fmt::format("at most {} characters", limits_.all_text));
  }
}

void Context::ReserveItems(int64_t items) {
  Charge(1 + items / 4);
  if (items > limits_.items) {
    Raise("the chat template makes too long a list", fmt::format("{} items", items),
          fmt::format("at most {}", limits_.items));
  }
}

Value Context::Checked(Value value) const {
  if (value.Depth() > limits_.nesting) {
    Raise("the chat template nests lists too deep", "", fmt::format("at most {} levels", limits_.nesting));
  }
  return value;
}

Value Context::String(Text text) {
  ReserveText(static_cast<int64_t>(text.size()));
  return Value::String(std::move(text));
}

Value Context::NewList(Values items) {
  ReserveItems(static_cast<int64_t>(items.size()));
  return Checked(List(std::move(items)));
}

Value Context::NewTuple(Values items) {
  ReserveItems(static_cast<int64_t>(items.size()));
  return Checked(Tuple(std::move(items)));
}

Value Context::NewIterator(Values items) {
  ReserveItems(static_cast<int64_t>(items.size()));
  return Checked(Iterator(std::move(items)));
}

Value Context::NewDict(std::vector<DictEntry> entries) {
  ReserveItems(static_cast<int64_t>(entries.size()));
  return Checked(Value::Of(std::make_shared<const Dict>(std::move(entries))));
}

Value Context::NewNamespace(std::vector<std::pair<std::string, Value>> fields) {
  namespaces_.push_back(std::make_unique<Namespace>(Namespace{std::move(fields)}));
  return Value::Of(namespaces_.back().get());
}

Scope& Context::NewScope(Scope* parent) {
  scopes_.push_back(std::make_unique<Scope>(parent));
  return *scopes_.back();
}

void Context::Leave(Scope& scope) {
  if (scope.kept()) kept_.push_back(std::move(scopes_.back()));
  scopes_.pop_back();
}

}  // namespace nla::jinja
