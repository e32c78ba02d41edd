// A JSON value together with the path that led to it, so that every error names the file and the field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nla {

// Parses `text`; `where` names the file in errors.
nlohmann::json ParseJson(std::string_view text, const std::string& where);

// Borrows the value.
class JsonView {
 public:
  // `where` is the file, `path` the field inside it ("" for the document).
  JsonView(const nlohmann::json& value, std::string where, std::string path = "")
      : value_(value), where_(std::move(where)), path_(std::move(path)) {}

  const nlohmann::json& value() const { return value_; }
  const std::string& where() const { return where_; }
  // Typed reads; another type is an error.
  const std::string& String() const;
  bool Bool() const;
  int64_t Int(int64_t low, int64_t high) const;
  // Checks that the value is an object or an array.
  const JsonView& Object() const;
  const JsonView& Array() const;

  // Field of an object; At fails when it is absent, Find returns nothing when it is absent or null.
  JsonView At(std::string_view key) const;
  std::optional<JsonView> Find(std::string_view key) const;
  JsonView At(size_t index) const;
  size_t size() const { return value_.size(); }
  // The members of a section whose "type" is Sequence, listed under `key`; else the section alone.
  std::vector<JsonView> Members(std::string_view key) const;

  // Ends the load: the field has a value that this program does not support.
  [[noreturn]] void Unsupported(const std::string& wanted) const;
  // Fails when the key is present and neither null nor equal to `neutral` ("" and false are neutral values).
  void RequireNeutral(std::string_view key, const nlohmann::json& neutral) const;
  [[noreturn]] void Fail(const std::string& what, const std::string& found, const std::string& wanted) const;

 private:
  std::string Where() const;
  const nlohmann::json& value_;
  std::string where_;
  std::string path_;
};

}  // namespace nla
