// Typed, path-carrying access to a parsed JSON document.
#include "text/json_view.h"

#include <fmt/format.h>

#include "base/fail.h"

namespace nla {
namespace {

// A value as it is shown in an error: short whatever it is.
std::string Excerpt(const nlohmann::json& value) {
  if (value.is_object() || value.is_array()) return fmt::format("{} of {}", value.type_name(), value.size());
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

}  // namespace

nlohmann::json ParseJson(std::string_view text, const std::string& where) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    nla::Fail({.where = where, .what = "not a JSON document", .found = error.what(), .mend = "Fetch the file again"});
  }
}

std::string JsonView::Where() const { return path_.empty() ? where_ : fmt::format("{}: {}", where_, path_); }

void JsonView::Fail(const std::string& what, const std::string& found, const std::string& wanted) const {
  nla::Fail({.where = Where(), .what = what, .found = found, .wanted = wanted});
}

void JsonView::Unsupported(const std::string& wanted) const { Fail("not supported", Excerpt(value_), wanted); }

const std::string& JsonView::String() const {
  if (!value_.is_string()) Fail("wrong type", Excerpt(value_), "a string");
  return value_.get_ref<const std::string&>();
}

bool JsonView::Bool() const {
  if (!value_.is_boolean()) Fail("wrong type", Excerpt(value_), "true or false");
  return value_.get<bool>();
}

int64_t JsonView::Int(int64_t low, int64_t high) const {
  const std::string wanted = fmt::format("an integer in {}..{}", low, high);
  if (!value_.is_number_integer()) Fail("wrong type", Excerpt(value_), wanted);
  const bool huge = value_.is_number_unsigned() && value_.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  if (huge || value_.get<int64_t>() < low || value_.get<int64_t>() > high)
    Fail("out of range", Excerpt(value_), wanted);
  return value_.get<int64_t>();
}

const JsonView& JsonView::Object() const {
  if (!value_.is_object()) Fail("wrong type", Excerpt(value_), "an object");
  return *this;
}

const JsonView& JsonView::Array() const {
  if (!value_.is_array()) Fail("wrong type", Excerpt(value_), "an array");
  return *this;
}

JsonView JsonView::At(std::string_view key) const {
  const auto found = Object().value_.find(key);
  if (found == value_.end()) Fail("field missing", "", std::string(key));
  return JsonView(*found, where_, path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

std::optional<JsonView> JsonView::Find(std::string_view key) const {
  const auto found = Object().value_.find(key);
  if (found == value_.end() || found->is_null()) return std::nullopt;
  return At(key);
}

JsonView JsonView::At(size_t index) const {
  return JsonView(Array().value_.at(index), where_, fmt::format("{}[{}]", path_, index));
}

std::vector<JsonView> JsonView::Members(std::string_view key) const {
  if (At("type").String() != "Sequence") return {*this};
  const JsonView list = At(key).Array();
  std::vector<JsonView> members;
  for (size_t i = 0; i < list.size(); ++i) members.push_back(list.At(i));
  return members;
}

void JsonView::RequireNeutral(std::string_view key, const nlohmann::json& neutral) const {
  const std::optional<JsonView> field = Find(key);
  if (field && field->value() != neutral) field->Unsupported(fmt::format("null or {}", neutral.dump()));
}

}  // namespace nla
