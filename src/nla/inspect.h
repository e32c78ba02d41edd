// What a path is, what is known of it, and what would refuse it. Kinds are a table (inspect.cc); each is one function
// in a file of its subject, which opens the thing with the code that would use it.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace nla {

struct Inspection {
  std::string kind;
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<std::string> problems;  // each would make some command refuse the path

  void Fact(const std::string& name, const std::string& value) { facts.emplace_back(name, value); }
  void Fact(const std::string& name, int64_t value) { facts.emplace_back(name, std::to_string(value)); }
  // Runs a check; what it complains of is a problem, named once.
  void Try(const std::function<void()>& check);
};

struct InspectSubject {
  std::filesystem::path path;
  std::filesystem::path base;  // stands in for the base model that adapters name; may be empty
};

struct InspectKind {
  std::string name;
  std::string told_by;  // for the error that a path is of no kind: ".gguf", "a folder with pair.yaml"
  bool (*is)(const std::filesystem::path& path);
  void (*look)(const InspectSubject& subject, Inspection& out);
};

// Never throws for what it finds inside; a path that is not there is an error. `more` kinds of higher layers are asked
// before the kinds of this one.
Inspection Inspect(const std::filesystem::path& path, const std::filesystem::path& base = {},
                   std::span<const InspectKind> more = {});

}  // namespace nla
