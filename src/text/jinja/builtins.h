// The tables of what templates can call: filters, tests, methods and functions. Each is looked up when a template is
// loaded, or for methods when the object is known.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/context.h"
#include "text/jinja/value.h"

namespace nla::jinja {

struct CallArgs {
  Values positional;
  std::vector<std::pair<std::string, Value>> named;
};

// The arguments of one call by their parameters. Too many, or names that are no parameter, are errors.
class Params {
 public:
  Params(Context& context, std::string_view function, const CallArgs& args,
         std::initializer_list<std::string_view> names);

  // Null where the argument is not given.
  const Value* Get(size_t i) const { return found_[i]; }
  // Fails when it is not given.
  const Value& Need(size_t i) const;
  bool Flag(size_t i, bool otherwise) const { return found_[i] == nullptr ? otherwise : found_[i]->Truth(); }
  // Fail when what is given has another type; None counts as not given.
  int64_t Int(size_t i, int64_t otherwise) const;
  const Text* String(size_t i) const;
  const Text& NeedString(size_t i) const;

 private:
  bool Given(size_t i) const { return found_[i] != nullptr && !found_[i]->Is(Kind::kNone); }
  Context& context_;
  std::string_view function_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> found_;
};

struct Filter {
  std::string_view name;
  Value (*run)(Context& context, const Value& input, const CallArgs& args);
};

struct Test {
  std::string_view name;
  bool (*run)(Context& context, const Value& input, const CallArgs& args);
};

struct Method {
  Kind kind;
  std::string_view name;
  Value (*run)(Context& context, const Value& self, const CallArgs& args);
};

struct Function {
  std::string_view name;
  Value (*run)(Context& context, const CallArgs& args);
};

// Null when there is none of that name.
const Filter* FindFilter(std::string_view name);
const Test* FindTest(std::string_view name);
const Method* FindMethod(const Value& self, std::string_view name);
const Function* FindFunction(std::string_view name);

// Python's methods and Jinja's globals that this program lacks: calling one is an error when the template is loaded.
bool IsUnsupportedMethod(std::string_view name);
bool IsUnsupportedGlobal(std::string_view name);
// Methods that change their object, which the sandbox forbids.
bool IsMutatingMethod(const Value& self, std::string_view name);

// Parts of the tables, one a file.
std::span<const Filter> TextFilters();
std::span<const Filter> SequenceFilters();
std::span<const Filter> SelectionFilters();
std::span<const Filter> NumberFilters();
std::span<const Method> StringMethods();
std::span<const Method> StringTestMethods();
std::span<const Method> ContainerMethods();

}  // namespace nla::jinja
