// What one rendering may use up, and what it owns: namespaces and scopes, which templates can tie into cycles.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/date.h"
#include "text/jinja/value.h"

namespace nla::jinja {

// Far above what a conversation needs, and low enough that reaching them takes about a second and some hundred MB.
struct Limits {
  int64_t steps = 5'000'000;             // evaluated nodes, and work in proportion to sizes
  int64_t text = int64_t{8} << 20;       // characters of one string, the output included
  int64_t all_text = int64_t{64} << 20;  // characters of all strings made
  int64_t items = 1'000'000;             // of one list
  int nesting = 100;                     // of containers in each other
  int recursion = 600;                   // of evaluation: macros that call each other
};

// Variables of one block. Looks outward for names that it does not have.
class Scope {
 public:
  explicit Scope(Scope* parent) : parent_(parent) {}

  // `name` is borrowed from the template.
  void Set(std::string_view name, Value value);
  // Null when neither this scope nor one around it has the name.
  // `scanned` grows by the variables looked at.
  const Value* Find(std::string_view name, size_t& scanned) const;
  size_t size() const { return variables_.size(); }
  // A macro defined here needs this scope and those around it for as long as the rendering lasts.
  void Keep();
  bool kept() const { return kept_; }

 private:
  Scope* parent_;
  bool kept_ = false;
  std::vector<std::pair<std::string_view, Value>> variables_;
};

class Context {
 public:
  // `where` names the template in errors.
  Context(std::string where, const Limits& limits, const Date& date)
      : where_(std::move(where)), limits_(limits), date_(date) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Limits& limits() const { return limits_; }
  const Date& date() const { return date_; }

  // Fails when the steps are used up.
  void Charge(int64_t steps = 1) {
    used_steps_ += steps;
    if (used_steps_ > limits_.steps) RaiseTooLong();
  }
  // Work in proportion to a count of characters or items.
  void ChargeSize(size_t size) { Charge(1 + static_cast<int64_t>(size / 16)); }
  // Fails when a string of so many characters may not be made. Asked before it is.
  void ReserveText(int64_t characters);
  void ReserveItems(int64_t items);

  Value String(Text text);
  Value String(std::string_view utf8, Origin origin) { return String(Text(utf8, origin)); }
  Value NewList(Values items);
  Value NewTuple(Values items);
  Value NewIterator(Values items);
  Value NewDict(std::vector<DictEntry> entries);
  Value NewNamespace(std::vector<std::pair<std::string, Value>> fields);

  Scope& NewScope(Scope* parent);
  // Gives back a scope that no macro keeps.
  void Leave(Scope& scope);

  int line() const { return line_; }
  void SetLine(int line) { line_ = line; }
  [[noreturn]] void Raise(const std::string& what, const std::string& found = "", const std::string& wanted = "") const;

  // Guards against recursion without end: one object for each level.
  class Level {
   public:
    explicit Level(Context& context) : context_(context) {
      if (++context_.level_ > context_.limits_.recursion) context_.RaiseTooDeep();
    }
    ~Level() { --context_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Context& context_;
  };

 private:
  [[noreturn]] void RaiseTooLong() const;
  [[noreturn]] void RaiseTooDeep() const;
  Value Checked(Value value) const;

  std::string where_;
  Limits limits_;
  Date date_;
  int64_t used_steps_ = 0;
  int64_t used_text_ = 0;
  int level_ = 0;
  int line_ = 1;
  std::vector<std::unique_ptr<Namespace>> namespaces_;
  std::vector<std::unique_ptr<Scope>> scopes_;  // the innermost last
  std::vector<std::unique_ptr<Scope>> kept_;
};

}  // namespace nla::jinja
