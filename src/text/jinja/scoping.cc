// Jinja's symbol analysis, block by block: the order of reads and writes of each name.
#include "text/jinja/scoping.h"

#include <map>
#include <set>

#include "text/jinja/lexer.h"

namespace nla::jinja {
namespace {

constexpr size_t kMaxCopied = 4'000'000;

// What one block knows of names.
struct Symbols {
  const Symbols* parent = nullptr;
  std::map<std::string, bool> known = {};  // whether the name begins as the block's own
  std::set<std::string> stores = {};

  bool KnownAround(const std::string& name) const {
    for (const Symbols* around = parent; around != nullptr; around = around->parent) {
      if (around->known.contains(name)) return true;
    }
    return false;
  }
  void Load(const std::string& name) {
    if (!known.contains(name) && !KnownAround(name)) known[name] = false;
  }
  void Store(const std::string& name) {
    stores.insert(name);
    if (!known.contains(name)) known[name] = !KnownAround(name);
  }
  void Declare(const std::string& name) {
    stores.insert(name);
    known[name] = false;
  }
};

class Analysis {
 public:
  Analysis(OwnNames& found, const std::string& where) : found_(found), where_(where) {}

  void Root(const Body& body) {
    Symbols symbols;
    Block(body, symbols);
  }

 private:
  // A block whose parameters are declared already.
  void Block(const Body& body, Symbols& symbols) {
    VisitAll(body, symbols);
    for (const auto& [name, own] : symbols.known) {
      if (own) found_[&body].push_back(name);
    }
    for (const auto& node : body) Descend(*node, symbols);
  }

  void VisitAll(const Body& body, Symbols& symbols) {
    for (const auto& node : body) Visit(*node, symbols);
  }

  // What a node reads and writes in the block that it stands in.
  void Visit(const Node& node, Symbols& symbols) {
    switch (node.kind) {
      case NodeKind::kIf:
        return VisitIf(node, 0, symbols);
      case NodeKind::kFor:
        return VisitExpr(node.exprs[0].get(), symbols);
      case NodeKind::kMacro:
        return symbols.Store(node.macro->name);
      case NodeKind::kSetBlock:
        return VisitTarget(node.targets[0], symbols);
      default:
        break;
    }
    for (const ExprPtr& expr : node.exprs) VisitExpr(expr.get(), symbols);
    if (node.kind == NodeKind::kSet) VisitTarget(node.targets[0], symbols);
  }

  // A name that only some branches write is looked up outside by the others.
  void VisitIf(const Node& node, size_t first, Symbols& symbols) {
    VisitExpr(node.exprs[first].get(), symbols);
    std::vector<Symbols> branches;
    const auto branch = [&](const Body* body) {
      copied_ += symbols.known.size() + symbols.stores.size() + 1;
      if (copied_ > kMaxCopied) FailAtLine(where_, node.line, "the chat template has too many names and branches");
      branches.push_back(symbols);
      if (body != nullptr) VisitAll(*body, branches.back());
    };
    for (size_t i = first; i < node.exprs.size(); ++i) {
      if (i > first) VisitExpr(node.exprs[i].get(), symbols);
      branch(&node.bodies[i]);
    }
    branch(node.bodies.size() > node.exprs.size() ? &node.bodies.back() : nullptr);
    std::map<std::string, size_t> counts;
    for (const Symbols& made : branches) {
      for (const std::string& name : made.stores) counts[name] += symbols.stores.contains(name) ? 0 : 1;
    }
    for (const Symbols& made : branches) {
      for (const auto& [name, own] : made.known) symbols.known.emplace(name, own);
      symbols.stores.insert(made.stores.begin(), made.stores.end());
    }
    for (const auto& [name, count] : counts) {
      if (count > 0 && count < branches.size()) symbols.known[name] = false;
    }
  }

  void VisitTarget(const Target& target, Symbols& symbols) {
    switch (target.form) {
      case Target::Form::kName:
        return symbols.Store(target.name);
      case Target::Form::kField:
        return symbols.Load(target.name);
      case Target::Form::kTuple:
        for (const Target& part : target.parts) VisitTarget(part, symbols);
    }
  }

  static void Declare(const Target& target, Symbols& symbols) {
    if (target.form == Target::Form::kName) symbols.Declare(target.name);
    for (const Target& part : target.parts) Declare(part, symbols);
  }

  void VisitExpr(const Expr* expr, Symbols& symbols) {
    if (expr == nullptr) return;
    if (expr->op == Op::kName) symbols.Load(expr->name);
    for (const ExprPtr& arg : expr->args) VisitExpr(arg.get(), symbols);
    for (const auto& [name, arg] : expr->named) VisitExpr(arg.get(), symbols);
  }

  // The blocks that a node opens.
  void Descend(const Node& node, const Symbols& symbols) {
    if (node.kind == NodeKind::kIf) {
      for (const Body& body : node.bodies) {
        for (const auto& inner : body) Descend(*inner, symbols);
      }
      return;
    }
    for (size_t i = 0; i < node.bodies.size(); ++i) {
      Symbols inner{.parent = &symbols};
      if (node.kind == NodeKind::kFor && i == 0) {
        inner.Declare("loop");
        Declare(node.targets[0], inner);
      }
      if (node.kind == NodeKind::kWith) {
        for (const Target& target : node.targets) Declare(target, inner);
      }
      Block(node.bodies[i], inner);
    }
    if (node.macro != nullptr) Macro(*node.macro, symbols);
  }

  void Macro(const MacroNode& macro, const Symbols& symbols) {
    Symbols inner{.parent = &symbols};
    for (const auto& [name, value] : macro.parameters) inner.Declare(name);
    for (const char* name : {"caller", "varargs", "kwargs"}) inner.Declare(name);
    for (const auto& [name, value] : macro.parameters) VisitExpr(value.get(), inner);
    Block(macro.body, inner);
  }

  OwnNames& found_;
  const std::string& where_;
  size_t copied_ = 0;  // names, branch by branch
};

}  // namespace

OwnNames FindOwnNames(const Body& root, const std::string& where) {
  OwnNames found;
  Analysis(found, where).Root(root);
  return found;
}

}  // namespace nla::jinja
