// The tree of a template. Names of filters, tests and methods are resolved when it is made, so that rendering meets
// nothing unknown.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace nla::jinja {

struct Filter;
struct Test;
struct Expr;
using ExprPtr = std::unique_ptr<const Expr>;

enum class Op : uint8_t {
  kConst,
  kName,
  kList,
  kTuple,
  kDict,         // args: key, value, key, value, …
  kGetattr,      // args: object; the attribute is `constant`
  kGetitem,      // args: object, key
  kSlice,        // args: object, start, stop, step (null where left out)
  kCall,         // args: callee, positional…; named
  kFilter,       // args: input (null: the text of a filter block), positional…; named
  kTest,         // args: input, positional…; named
  kConditional,  // args: test, then, else (null where left out)
  kNot,
  kNegative,
  kPositive,
  kAnd,
  kOr,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kConcat,   // args: two or more
  kCompare,  // args: one more than `compares`
};

enum class CompareOp : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

struct Expr {
  Op op;
  int line;
  Value constant = {};
  std::string name = {};  // of a name, filter or test
  std::vector<ExprPtr> args = {};
  std::vector<std::pair<std::string, ExprPtr>> named = {};
  std::vector<CompareOp> compares = {};
  const Filter* filter = nullptr;
  const Test* test = nullptr;
  int depth = 1;  // of the tree below it
};

// What {% set %} and {% for %} assign to.
struct Target {
  enum class Form : uint8_t { kName, kField, kTuple };
  Form form = Form::kName;
  std::string name;
  std::string field;  // of the namespace `name`
  std::vector<Target> parts;
};

struct Node;
using Body = std::vector<std::unique_ptr<const Node>>;

struct MacroNode {
  std::string name;
  std::vector<std::pair<std::string, ExprPtr>> parameters;  // with their defaults, or null
  Body body;
  bool uses_varargs = false;
  bool uses_kwargs = false;
  bool uses_caller = false;
};

enum class NodeKind : uint8_t {
  kText,
  kOutput,    // exprs: what is printed
  kIf,        // exprs: the tests; bodies: one each, and perhaps one more for else
  kFor,       // exprs: iterable, filter (null where left out); bodies: the loop, else
  kSet,       // exprs: the value
  kSetBlock,  // exprs: filters around the text, or null; bodies: one
  kMacro,
  kCallBlock,    // exprs: the call; macro: the caller
  kFilterBlock,  // exprs: the filters; bodies: one
  kWith,         // targets and exprs in pairs; bodies: one
  kScope,        // bodies: one (the `generation` tag)
  kBreak,
  kContinue,
};

struct Node {
  NodeKind kind;
  int line;
  Text text = {};
  std::vector<ExprPtr> exprs = {};
  std::vector<Body> bodies = {};
  std::vector<Target> targets = {};
  std::unique_ptr<MacroNode> macro = nullptr;
};

}  // namespace nla::jinja
