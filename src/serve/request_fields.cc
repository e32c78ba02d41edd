// Reading by a table of fields.
#include "serve/request_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "base/fields.h"

namespace nla::serve {
namespace {

// Values in errors: short, and never a whole body.
std::string Shown(const Json& value) {
  std::string text = JsonText(value);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

bool IsNeutral(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_null() || value == false || value == 0 || (value.is_structured() && value.empty());
}

bool AllOf(const Json& list, bool (*is)(const Json&)) {
  return list.is_array() && std::all_of(list.begin(), list.end(), is);
}
bool IsInteger(const Json& value) { return value.is_number_integer(); }
bool IsText(const Json& value) { return value.is_string(); }
bool IsObject(const Json& value) { return value.is_object(); }
bool AreIntegers(const Json& value) { return AllOf(value, IsInteger); }

bool HasShape(const Json& value, Shape shape) {
  switch (shape) {
    case Shape::kBool:
      return value.is_boolean();
    case Shape::kInteger:
      return IsInteger(value);
    case Shape::kNumber:
      return value.is_number();
    case Shape::kText:
      return IsText(value);
    case Shape::kTexts:
      return AllOf(value, IsText);
    case Shape::kIntegers:
      return AreIntegers(value);
    case Shape::kIntegerLists:
      return AllOf(value, AreIntegers);
    case Shape::kObject:
      return IsObject(value);
    case Shape::kObjects:
      return AllOf(value, IsObject);
  }
  return false;
}

const char* NameOf(Shape shape) {
  switch (shape) {
    case Shape::kBool:
      return "true or false";
    case Shape::kInteger:
      return "a whole number";
    case Shape::kNumber:
      return "a number";
    case Shape::kText:
      return "a string";
    case Shape::kTexts:
      return "a list of strings";
    case Shape::kIntegers:
      return "a list of whole numbers";
    case Shape::kIntegerLists:
      return "a list of lists of whole numbers";
    case Shape::kObject:
      return "an object";
    case Shape::kObjects:
      return "a list of objects";
  }
  return "";
}

std::string NamesOf(const std::vector<Shape>& shapes) {
  std::vector<std::string> names;
  names.reserve(shapes.size());
  for (const Shape shape : shapes) names.emplace_back(NameOf(shape));
  return fmt::format("{}", fmt::join(names, " or "));
}

std::string RangeText(const FieldRules& rules) {
  const std::string low =
      std::isinf(rules.low) ? "" : fmt::format("{} {}", rules.above_low ? "above" : "at least", rules.low);
  const std::string high = std::isinf(rules.high) ? "" : fmt::format("at most {}", rules.high);
  return low + (low.empty() || high.empty() ? "" : " and ") + high;
}

// One field of one body.
class FieldReader {
 public:
  FieldReader(const RequestField& field, const Json& value, RequestBody* body, std::string where)
      : field_(field), value_(value), body_(body), where_(std::move(where)) {}

  void operator()(bool* target) const { *target = Require(Shape::kBool).get<bool>(); }
  void operator()(int64_t* target) const { *target = Integer(Require(Shape::kInteger)); }
  void operator()(std::optional<int64_t>* target) const { *target = Integer(Require(Shape::kInteger)); }
  void operator()(double* target) const {
    *target = Require(Shape::kNumber).get<double>();
    CheckRange(*target);
  }
  void operator()(std::string* target) const {
    *target = Require(Shape::kText).get<std::string>();
    const auto& choices = field_.rules.choices;
    if (choices.empty() || std::find(choices.begin(), choices.end(), *target) != choices.end()) return;
    Fail("unknown value", fmt::format("{}", fmt::join(choices, ", ")));
  }
  void operator()(std::vector<std::string>* target) const {
    if (value_.is_string()) {
      *target = {value_.get<std::string>()};
    } else {
      if (!HasShape(value_, Shape::kTexts)) Fail("wrong type", "a string or a list of strings");
      *target = value_.get<std::vector<std::string>>();
    }
  }
  void operator()(std::vector<int64_t>* target) const {
    target->clear();
    if (value_.is_number_integer()) return target->push_back(Integer(value_));
    if (!HasShape(value_, Shape::kIntegers)) Fail("wrong type", "a list of whole numbers");
    for (const Json& one : value_) target->push_back(Integer(one));
  }
  void operator()(NestedFloats* target) const {
    if (body_ == nullptr || !body_->arrays.contains(field_.name)) Fail("wrong type", "an array of numbers");
    *target = std::move(body_->arrays.find(field_.name)->second);
    const auto& depths = field_.rules.depths;
    if (depths.empty() || std::find(depths.begin(), depths.end(), target->depth) != depths.end()) return;
    FailUsage({.where = where_,
               .what = "is nested wrongly",
               .found = fmt::format("{} brackets around a number", target->depth),
               .wanted = fmt::format("{}", fmt::join(depths, " or "))});
  }
  void operator()(Blob* target) const {
    target->given = true;
    if (body_ != nullptr) {
      if (const auto found = body_->texts.find(field_.name); found != body_->texts.end()) {
        target->text = found->second;
        return;
      }
    }
    // Written with escapes: the tree has it, which lives as long as the body.
    target->text = Require(Shape::kText).get_ref<const std::string&>();
  }
  void operator()(Json* target) const {
    const auto& shapes = field_.rules.shapes;
    const auto fits = [&](Shape shape) { return HasShape(value_, shape); };
    if (!std::any_of(shapes.begin(), shapes.end(), fits)) Fail("wrong type", NamesOf(shapes));
    *target = value_;
  }
  void operator()(const Refused& refused) const {
    if (!IsNeutral(value_))
      FailUsage({.where = where_, .what = "is not supported", .found = Shown(value_), .mend = refused.why});
  }

 private:
  const Json& Require(Shape shape) const {
    if (!HasShape(value_, shape)) Fail("wrong type", NameOf(shape));
    return value_;
  }
  int64_t Integer(const Json& value) const {
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (value.is_number_unsigned() && value.get<uint64_t>() > kMost) Fail("is out of range", "a number below 2^63");
    const auto integer = value.get<int64_t>();
    CheckRange(static_cast<double>(integer));
    return integer;
  }
  void CheckRange(double number) const {
    const FieldRules& rules = field_.rules;
    const bool low = rules.above_low ? number > rules.low : number >= rules.low;
    if (!low || !(number <= rules.high)) Fail("is out of range", RangeText(rules));
  }
  [[noreturn]] void Fail(const std::string& what, const std::string& wanted) const {
    FailUsage({.where = where_, .what = what, .found = Shown(value_), .wanted = wanted});
  }

  const RequestField& field_;
  const Json& value_;
  RequestBody* body_;
  std::string where_;
};

std::set<std::string> Read(const FieldTable& table, const Json& object, RequestBody* body, const std::string& where) {
  std::set<std::string> given;
  const std::string prefix = where.empty() ? "" : where + ".";
  for (const auto& [key, value] : object.items()) {
    const auto field =
        std::find_if(table.begin(), table.end(), [&, &name = key](const auto& f) { return f.name == name; });
    if (field == table.end()) {
      std::vector<std::string> known;
      for (const RequestField& one : table) known.push_back(one.name);
      const std::string nearest = NearestName(known, key);
      FailUsage({.where = where.empty() ? "body" : where,
                 .what = fmt::format("unknown field \"{}\"", key.substr(0, 100)),
                 .mend = nearest.empty() ? fmt::format("Known fields: {}", fmt::join(known, ", "))
                                         : fmt::format("Did you mean \"{}\"?", nearest)});
    }
    if (value.is_null()) continue;
    std::visit(FieldReader(*field, value, body, prefix + key), field->target);
    given.insert(key);
  }
  for (const RequestField& field : table) {
    if (field.rules.required && !given.contains(field.name)) {
      FailUsage({.where = prefix + field.name, .what = "is missing", .wanted = field.help});
    }
  }
  return given;
}

OrderedJson ArrayOf(OrderedJson items) { return {{"type", "array"}, {"items", std::move(items)}}; }

OrderedJson TypeSchema(Shape shape) {
  switch (shape) {
    case Shape::kBool:
      return {{"type", "boolean"}};
    case Shape::kInteger:
      return {{"type", "integer"}};
    case Shape::kNumber:
      return {{"type", "number"}};
    case Shape::kText:
      return {{"type", "string"}};
    case Shape::kTexts:
      return ArrayOf(TypeSchema(Shape::kText));
    case Shape::kIntegers:
      return ArrayOf(TypeSchema(Shape::kInteger));
    case Shape::kIntegerLists:
      return ArrayOf(TypeSchema(Shape::kIntegers));
    case Shape::kObject:
      return {{"type", "object"}};
    case Shape::kObjects:
      return ArrayOf(TypeSchema(Shape::kObject));
  }
  return {};
}

OrderedJson Nested(int depth) {
  OrderedJson schema = TypeSchema(Shape::kNumber);
  for (int i = 0; i < depth; ++i) schema = ArrayOf(schema);
  return schema;
}

// A field's schema without its help.
class SchemaWriter {
 public:
  explicit SchemaWriter(const FieldRules& rules) : rules_(rules) {}

  OrderedJson operator()(const bool* value) const { return WithDefault(TypeSchema(Shape::kBool), *value); }
  OrderedJson operator()(const int64_t* value) const { return WithDefault(Ranged(Shape::kInteger), *value); }
  OrderedJson operator()(const double* value) const { return WithDefault(Ranged(Shape::kNumber), *value); }
  OrderedJson operator()(const std::optional<int64_t>* /*value*/) const { return Ranged(Shape::kInteger); }
  OrderedJson operator()(const std::string* value) const {
    OrderedJson schema = TypeSchema(Shape::kText);
    if (!rules_.choices.empty()) schema["enum"] = rules_.choices;
    return value->empty() ? schema : WithDefault(schema, *value);
  }
  OrderedJson operator()(const std::vector<std::string>* /*value*/) const {
    return AnyOf({TypeSchema(Shape::kText), TypeSchema(Shape::kTexts)});
  }
  OrderedJson operator()(const std::vector<int64_t>* /*value*/) const {
    return AnyOf({Ranged(Shape::kInteger), ArrayOf(Ranged(Shape::kInteger))});
  }
  OrderedJson operator()(const NestedFloats* /*value*/) const {
    std::vector<OrderedJson> schemas;
    for (const int depth : rules_.depths) schemas.push_back(Nested(depth));
    return schemas.empty() ? OrderedJson{{"type", "array"}} : AnyOf(schemas);
  }
  OrderedJson operator()(const Blob* /*value*/) const { return {{"type", "string"}, {"contentEncoding", "base64"}}; }
  OrderedJson operator()(const Json* /*value*/) const {
    std::vector<OrderedJson> schemas;
    for (const Shape shape : rules_.shapes) schemas.push_back(TypeSchema(shape));
    return AnyOf(schemas);
  }
  // What IsNeutral takes.
  OrderedJson operator()(const Refused& /*refused*/) const {
    return {{"enum", {nullptr, false, 0, "", OrderedJson::array(), OrderedJson::object()}}, {"deprecated", true}};
  }

 private:
  OrderedJson Ranged(Shape shape) const {
    OrderedJson schema = TypeSchema(shape);
    const auto bound = [&](double limit) {
      return shape == Shape::kInteger ? OrderedJson(static_cast<int64_t>(limit)) : OrderedJson(limit);
    };
    if (!std::isinf(rules_.low)) schema[rules_.above_low ? "exclusiveMinimum" : "minimum"] = bound(rules_.low);
    if (!std::isinf(rules_.high)) schema["maximum"] = bound(rules_.high);
    return schema;
  }
  static OrderedJson WithDefault(OrderedJson schema, OrderedJson value) {
    schema["default"] = std::move(value);
    return schema;
  }
  const FieldRules& rules_;
};

}  // namespace

OrderedJson AnyOf(const std::vector<OrderedJson>& schemas) {
  return schemas.size() == 1 ? schemas[0] : OrderedJson{{"anyOf", schemas}};
}

OrderedJson OrNull(OrderedJson schema) {
  if (schema.contains("anyOf")) {
    schema["anyOf"].push_back({{"type", "null"}});
    return schema;
  }
  schema["type"] = OrderedJson::array({schema["type"], "null"});
  if (schema.contains("enum")) schema["enum"].push_back(nullptr);
  return schema;
}

std::set<std::string> ReadBody(const FieldTable& table, RequestBody& body) {
  return Read(table, body.fields, &body, "");
}

RequestBody ParseFor(const FieldTable& table, std::string_view text) {
  LiftedFields lifted;
  for (const RequestField& field : table) {
    if (std::holds_alternative<NestedFloats*>(field.target)) lifted.arrays.push_back(field.name);
    if (std::holds_alternative<Blob*>(field.target)) lifted.texts.push_back(field.name);
  }
  return ParseBody(text, lifted);
}

std::set<std::string> ReadObject(const FieldTable& table, const Json& object, const std::string& where) {
  return Read(table, object, nullptr, where);
}

OrderedJson SchemaOf(const FieldTable& table) {
  OrderedJson properties = OrderedJson::object();
  OrderedJson required = OrderedJson::array();
  for (const RequestField& field : table) {
    OrderedJson schema = std::visit(SchemaWriter(field.rules), field.target);
    const auto* refused = std::get_if<Refused>(&field.target);
    if (refused == nullptr && !field.rules.required) schema = OrNull(schema);
    schema["description"] = refused == nullptr ? field.help : field.help + ": not supported. " + refused->why;
    properties[field.name] = std::move(schema);
    if (field.rules.required) required.push_back(field.name);
  }
  OrderedJson schema{{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

}  // namespace nla::serve
