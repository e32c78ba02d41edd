// Values of templates, with Python's kinds. Containers are immutable, so values are shared freely; namespaces and
// scopes belong to the context of one rendering (context.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/text.h"

namespace nla::jinja {

struct Sequence;
struct Dict;
struct Namespace;
struct LoopState;
struct Callable;

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kSequence,
  kDict,
  kNamespace,
  kLoop,
  kCallable,
};

class Value {
 public:
  // Undefined; `why` is the message of the error that using it gives.
  Value() = default;
  static Value Undefined(std::string why);
  static Value None();
  static Value Bool(bool value);
  static Value Int(int64_t value);
  static Value Float(double value);
  static Value String(Text text);
  static Value Of(std::shared_ptr<const Sequence> sequence);
  static Value Of(std::shared_ptr<const Dict> dict);
  static Value Of(Namespace* space);  // borrowed from the context
  static Value Of(std::shared_ptr<const LoopState> loop);
  static Value Of(std::shared_ptr<const Callable> callable);

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool Is(Kind kind) const { return this->kind() == kind; }
  // Each needs its kind.
  const std::string& why_undefined() const;
  bool boolean() const { return std::get<bool>(data_); }
  int64_t integer() const { return std::get<int64_t>(data_); }
  double real() const { return std::get<double>(data_); }
  const Text& text() const { return *std::get<TextPtr>(data_); }
  const Sequence& sequence() const { return *std::get<SequencePtr>(data_); }
  const Dict& dict() const { return *std::get<DictPtr>(data_); }
  Namespace& space() const { return *std::get<Namespace*>(data_); }
  const LoopState& loop() const { return *std::get<LoopPtr>(data_); }
  const Callable& callable() const { return *std::get<CallablePtr>(data_); }

  bool IsNumber() const { return Is(Kind::kBool) || Is(Kind::kInt) || Is(Kind::kFloat); }
  bool IsIntegral() const { return Is(Kind::kBool) || Is(Kind::kInt); }
  int64_t AsInt() const { return Is(Kind::kBool) ? static_cast<int64_t>(boolean()) : integer(); }
  double AsDouble() const { return Is(Kind::kFloat) ? real() : static_cast<double>(AsInt()); }
  bool Truth() const;
  // Python's name of the type: "str", "dict", "NoneType", …
  std::string_view TypeName() const;
  // How many containers are nested in it; 0 for what holds none.
  int Depth() const;

 private:
  struct NoneTag {};
  using WhyPtr = std::shared_ptr<const std::string>;
  using TextPtr = std::shared_ptr<const Text>;
  using SequencePtr = std::shared_ptr<const Sequence>;
  using DictPtr = std::shared_ptr<const Dict>;
  using LoopPtr = std::shared_ptr<const LoopState>;
  using CallablePtr = std::shared_ptr<const Callable>;
  // In the order of Kind.
  std::variant<WhyPtr, NoneTag, bool, int64_t, double, TextPtr, SequencePtr, DictPtr, Namespace*, LoopPtr, CallablePtr>
      data_;
};

using Values = std::vector<Value>;

struct Sequence {
  enum class Form : uint8_t {
    kList,
    kTuple,
    kRange,
    kView,      // dict.items() and its like: has a length, no indices
    kIterator,  // what filters such as map give: neither
  };
  Sequence(Form form, Values items);

  bool Indexed() const { return form <= Form::kRange; }
  Form form;
  Values items;
  int depth;
  std::string_view view = "";  // "dict_items", … of a view
  mutable bool spent = false;  // an iterator gives its items once
};

struct DictEntry {
  Value key;
  Value value;
};

// In order of insertion; keys are unique.
struct Dict {
  explicit Dict(std::vector<DictEntry> entries);

  // Null when there is none.
  const Value* Find(const Text& key) const;
  std::vector<DictEntry> entries;
  int depth;
};

// What namespace() makes: the one thing that a template can change.
struct Namespace {
  std::vector<std::pair<std::string, Value>> fields;
};

// The `loop` of a running for.
struct LoopState {
  Values items;
  size_t index = 0;
  int item_depth = 0;  // the deepest nesting among the items
};

struct MacroNode;
class Scope;

struct Callable {
  enum class Form : uint8_t { kMacro, kGlobal, kMethod };
  Form form;
  std::string name;                  // of a global or method
  const MacroNode* macro = nullptr;  // borrowed from the template
  Scope* scope = nullptr;            // where the macro was defined; borrowed from the context
  Value self = {};                   // whose method it is
};

Value List(Values items);
Value Tuple(Values items);
Value Iterator(Values items);

// Python's hash equality of dictionary keys needs these kinds.
bool IsHashable(const Value& value);

}  // namespace nla::jinja
