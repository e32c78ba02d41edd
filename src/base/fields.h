// One list of typed fields per options struct: the same list gives defaults, YAML parsing, `--set a.b=c`, help and
// dump. Unknown keys are usage errors that name the nearest known key.
//
//   struct ExtractOptions { int layer = -1; std::string corpus; };
//   FieldList Fields(ExtractOptions& o) { return {Field("layer", &o.layer, "block whose output is taken"), ...}; }
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nla {

struct Field {
  using Target = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*>;
  Field(std::string field_name, Target field_target, std::string field_help)
      : name(std::move(field_name)), target(field_target), help(std::move(field_help)) {}
  std::string name;  // dotted path: "lora.rank"
  Target target;     // borrowed; must outlive the list
  std::string help;  // one line, with the unit
};
using FieldList = std::vector<Field>;

// Sets one field from its text form ("true", "3", "1e-4", "a", or a YAML flow list). `where` names the source in
// errors.
void SetField(const FieldList& fields, std::string_view name, std::string_view value, const std::string& where);
// "a.b=c" as given to --set.
void SetFieldFromAssignment(const FieldList& fields, std::string_view assignment);
// Unless `good`, a usage error that names the field, what was found, and what was wanted ("0 or more").
void CheckField(const char* name, bool good, const std::string& found, const char* wanted);
void CheckField(const char* name, bool good, double found, const char* wanted);
void CheckField(const char* name, bool good, int64_t found, const char* wanted);
// Reads the mapping under `section` of a YAML file ("" = the whole document) into the fields.
void LoadYaml(const FieldList& fields, const std::filesystem::path& path, const std::string& section = "");
// The fields as a YAML document, nested by dots, in list order: what is stored beside an output.
std::string DumpYaml(const FieldList& fields);
// Two columns: name (default), help.
std::string HelpText(const FieldList& fields);
// The known name nearest to `name` by edit distance, or "" when none is near.
std::string NearestName(const std::vector<std::string>& known, std::string_view name);

}  // namespace nla
