// Reads typed fields from text and YAML, and writes them back as YAML or help.
#include "base/fields.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/fail.h"
#include "base/file.h"

namespace nla {
namespace {

const Field& Find(const FieldList& fields, std::string_view name, const std::string& where) {
  std::vector<std::string> names;
  for (const Field& field : fields) {
    if (field.name == name) return field;
    names.push_back(field.name);
  }
  const std::string nearest = NearestName(names, name);
  FailUsage({.where = where,
             .what = fmt::format("unknown key \"{}\"", name),
             .mend = nearest.empty() ? fmt::format("Known keys: {}", fmt::join(names, ", "))
                                     : fmt::format("Did you mean \"{}\"?", nearest)});
}

[[noreturn]] void FailValue(const Field& field, std::string_view value, const char* wanted, const std::string& where) {
  FailUsage({.where = fmt::format("{}: {}", where, field.name),
             .what = "wrong value",
             .found = fmt::format("\"{}\"", value),
             .wanted = wanted});
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return value;
  return std::nullopt;
}

std::optional<double> ParseFinite(std::string_view text) {
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && std::isfinite(value)) return value;
  return std::nullopt;
}

YAML::Node ParseYaml(const std::string& text, const std::string& where) {
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception& exception) {
    FailUsage({.where = where, .what = fmt::format("not valid YAML: {}", exception.what())});
  }
}

// A list from a YAML sequence; a single scalar is a list of one, nothing is the empty list.
std::vector<std::string> ListOf(const Field& field, const YAML::Node& node, const std::string& where) {
  std::vector<std::string> items;
  if (node.IsNull()) return items;
  if (node.IsScalar()) return {node.Scalar()};
  for (const YAML::Node& item : node) {
    if (!node.IsSequence() || !item.IsScalar()) FailValue(field, YAML::Dump(node), "a list of words", where);
    items.push_back(item.Scalar());
  }
  return items;
}

void SetScalar(const Field& field, std::string_view value, const std::string& where) {
  if (auto* const* boolean = std::get_if<bool*>(&field.target)) {
    if (value != "true" && value != "false") FailValue(field, value, "true or false", where);
    **boolean = value == "true";
  } else if (auto* const* integer = std::get_if<int64_t*>(&field.target)) {
    const auto parsed = ParseInteger(value);
    if (!parsed) FailValue(field, value, "a whole number", where);
    **integer = *parsed;
  } else if (auto* const* real = std::get_if<double*>(&field.target)) {
    const auto parsed = ParseFinite(value);
    if (!parsed) FailValue(field, value, "a finite number", where);
    **real = *parsed;
  } else {
    *std::get<std::string*>(field.target) = std::string(value);
  }
}

void SetFromNode(const Field& field, const YAML::Node& node, const std::string& where) {
  if (auto* const* list = std::get_if<std::vector<std::string>*>(&field.target)) {
    **list = ListOf(field, node, where);
  } else if (node.IsScalar()) {
    SetScalar(field, node.Scalar(), where);
  } else if (node.IsNull() && std::holds_alternative<std::string*>(field.target)) {
    SetScalar(field, "", where);
  } else {
    FailValue(field, YAML::Dump(node), "one value", where);
  }
}

// Walks nested mappings; a mapping's path is a prefix of field names, anything else must be a field.
void LoadMapping(const FieldList& fields, const YAML::Node& mapping, const std::string& prefix,
                 const std::string& where) {
  std::vector<std::string> seen;
  for (const auto& entry : mapping) {
    const std::string place = fmt::format("{}:{}", where, entry.first.Mark().line + 1);
    if (!entry.first.IsScalar()) {
      FailUsage({.where = place, .what = "wrong key", .found = YAML::Dump(entry.first), .wanted = "a word"});
    }
    const std::string name = prefix.empty() ? entry.first.Scalar() : prefix + "." + entry.first.Scalar();
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      FailUsage({.where = place, .what = fmt::format("key \"{}\" is given twice", name)});
    }
    seen.push_back(name);
    const bool group = std::any_of(fields.begin(), fields.end(),
                                   [&](const Field& field) { return field.name.starts_with(name + "."); });
    if (group && entry.second.IsMap()) {
      LoadMapping(fields, entry.second, name, where);
    } else {
      SetFromNode(Find(fields, name, place), entry.second, place);
    }
  }
}

// What a scalar field holds, as YAML that reads back to the same value.
void EmitValue(YAML::Emitter& out, const Field& field) {
  if (const auto* const* boolean = std::get_if<bool*>(&field.target)) {
    out << **boolean;
  } else if (const auto* const* integer = std::get_if<int64_t*>(&field.target)) {
    out << **integer;
  } else if (const auto* const* real = std::get_if<double*>(&field.target)) {
    out << fmt::format("{}", **real);  // the shortest text that reads back to the same bits
  } else if (const auto* const* text = std::get_if<std::string*>(&field.target)) {
    if ((*text)->find('\n') != std::string::npos) out << YAML::DoubleQuoted;
    out << **text;
  } else {
    out << YAML::Flow << *std::get<std::vector<std::string>*>(field.target);
  }
}

std::string ValueText(const Field& field) {
  YAML::Emitter out;
  EmitValue(out, field);
  return out.c_str();
}

std::vector<std::string> SplitPath(std::string_view name) {
  std::vector<std::string> parts;
  while (true) {
    const size_t dot = name.find('.');
    parts.emplace_back(name.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    name.remove_prefix(dot + 1);
  }
}

int64_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<int64_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), int64_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

void SetField(const FieldList& fields, std::string_view name, std::string_view value, const std::string& where) {
  const Field& field = Find(fields, name, where);
  if (std::holds_alternative<std::vector<std::string>*>(field.target)) {
    SetFromNode(field, ParseYaml(std::string(value), where), where);
  } else {
    SetScalar(field, value, where);
  }
}

void SetFieldFromAssignment(const FieldList& fields, std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    FailUsage({.where = "--set", .found = fmt::format("\"{}\"", assignment), .wanted = "KEY=VALUE"});
  }
  SetField(fields, assignment.substr(0, equals), assignment.substr(equals + 1), "--set");
}

void CheckField(const char* name, bool good, const std::string& found, const char* wanted) {
  if (!good) FailUsage({.where = name, .found = found.empty() ? "nothing" : found, .wanted = wanted});
}

void CheckField(const char* name, bool good, double found, const char* wanted) {
  if (!good) CheckField(name, good, fmt::format("{}", found), wanted);
}

void CheckField(const char* name, bool good, int64_t found, const char* wanted) {
  if (!good) CheckField(name, good, fmt::format("{}", found), wanted);
}

void LoadYaml(const FieldList& fields, const std::filesystem::path& path, const std::string& section) {
  const std::string where = path.string();
  YAML::Node node = ParseYaml(ReadFile(path, uint64_t{1} << 26), where);
  if (!section.empty()) {
    for (const std::string& part : SplitPath(section)) {
      // reset() rebinds; assignment would write into the document.
      if (node.IsMap()) node.reset(node[part]);
      if (!node.IsDefined() || node.IsNull()) {
        FailUsage({.where = where, .what = fmt::format("has no section \"{}\"", section)});
      }
    }
  }
  if (node.IsNull()) return;
  if (!node.IsMap()) {
    FailUsage({.where = where,
               .what = section.empty() ? "wrong document" : fmt::format("wrong section \"{}\"", section),
               .wanted = "a mapping of keys to values"});
  }
  LoadMapping(fields, node, "", where);
}

std::string DumpYaml(const FieldList& fields) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  std::vector<std::string> open;
  for (const Field& field : fields) {
    std::vector<std::string> path = SplitPath(field.name);
    const std::string leaf = path.back();
    path.pop_back();
    const auto [kept, next] = std::mismatch(open.begin(), open.end(), path.begin(), path.end());
    for (auto closed = kept; closed != open.end(); ++closed) out << YAML::EndMap;
    for (auto part = next; part != path.end(); ++part) out << YAML::Key << *part << YAML::Value << YAML::BeginMap;
    open = path;
    out << YAML::Key << leaf << YAML::Value;
    EmitValue(out, field);
  }
  for (size_t i = 0; i < open.size(); ++i) out << YAML::EndMap;
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

std::string HelpText(const FieldList& fields) {
  std::vector<std::string> left;
  size_t width = 0;
  for (const Field& field : fields) {
    left.push_back(fmt::format("{} ({})", field.name, ValueText(field)));
    width = std::max(width, std::min<size_t>(left.back().size(), 40));
  }
  std::string text;
  for (size_t i = 0; i < fields.size(); ++i) {
    text += fmt::format("  {:<{}}  {}\n", left[i], width, fields[i].help);
  }
  return text;
}

std::string NearestName(const std::vector<std::string>& known, std::string_view name) {
  std::string nearest;
  // Farther than a third of the word is a different word, not a slip.
  int64_t best = std::max<int64_t>(2, static_cast<int64_t>(name.size()) / 3) + 1;
  for (const std::string& candidate : known) {
    const int64_t distance = EditDistance(candidate, name);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace nla
