// JSON in and out: values from documents, and json.dumps for the filter tojson.
#pragma once

#include <nlohmann/json.hpp>

#include "text/jinja/context.h"

namespace nla::jinja {

// Strings and keys carry `origin`. Integers beyond 64 bits become floats.
Value FromJson(Context& context, const nlohmann::ordered_json& document, Origin origin);

struct JsonStyle {
  bool ascii = false;  // escape what is not ASCII
  bool sort_keys = false;
  std::optional<Text> indent;  // one level of it; without, all stands on one line
  std::optional<Text> item_separator;
  std::optional<Text> key_separator;
};

// As Python's json.dumps; what has no JSON form is an error.
Text ToJson(Context& context, const Value& value, const JsonStyle& style);

}  // namespace nla::jinja
