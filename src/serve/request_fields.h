// One table of fields a kind of request: it parses the body, checks types and ranges, words the errors, and becomes the
// schema in /openapi.json.
//
//   struct ScoreRequest { std::string text; int64_t n = 1; };
//   FieldTable Fields(ScoreRequest& r) {
//     return {{"text", &r.text, "what is scored", {.required = true}}, {"n", &r.n, "how often", {.low = 1, .high =
//     9}}};
//   }
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "serve/request_body.h"

namespace nla::serve {

// What a field of several kinds may hold.
enum class Shape { kBool, kInteger, kNumber, kText, kTexts, kIntegers, kIntegerLists, kObject, kObjects };

struct FieldRules {
  bool required = false;
  // Numbers, and every number of a list of integers.
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool above_low = false;                 // low itself is out of range
  std::vector<std::string> choices = {};  // texts
  std::vector<Shape> shapes = {};         // of a Json target
  std::vector<int> depths = {};           // brackets of an array of numbers; empty: any
};

// A base64 text, which is not copied.
struct Blob {
  std::string_view text;
  bool given = false;
};

// A field that other servers know and this one has no use for: absent, null, false or an empty value, or it is refused
// with `why`.
struct Refused {
  std::string why;
};

struct RequestField {
  using Target = std::variant<bool*, int64_t*, double*, std::string*, std::optional<int64_t>*,
                              std::vector<std::string>*, std::vector<int64_t>*, NestedFloats*, Blob*, Json*, Refused>;
  RequestField(std::string field_name, Target field_target, std::string field_help, FieldRules field_rules = {})
      : name(std::move(field_name)),
        target(std::move(field_target)),
        help(std::move(field_help)),
        rules(std::move(field_rules)) {}
  std::string name;
  Target target;  // borrowed; a list of texts or integers takes a single one too
  std::string help;
  FieldRules rules;
};
using FieldTable = std::vector<RequestField>;

// ParseBody with the table's arrays and base64 texts lifted out.
RequestBody ParseFor(const FieldTable& table, std::string_view text);
// Fills the targets; null means absent. Blobs borrow from the body. Returns the names that were given. Errors (usage)
// name the field; an unknown one names the nearest.
std::set<std::string> ReadBody(const FieldTable& table, RequestBody& body);
// The same for an object inside a body; `where` is its path ("sampling_params").
std::set<std::string> ReadObject(const FieldTable& table, const Json& object, const std::string& where);

// The table as a JSON schema, with the targets' values as defaults.
OrderedJson SchemaOf(const FieldTable& table);
// The schema of a request with its defaults.
template <typename Request>
OrderedJson Schema() {
  Request request;
  return SchemaOf(Fields(request));
}
// One of the schemas.
OrderedJson AnyOf(const std::vector<OrderedJson>& schemas);
// The schema with null beside, which bodies take for absent.
OrderedJson OrNull(OrderedJson schema);

}  // namespace nla::serve
