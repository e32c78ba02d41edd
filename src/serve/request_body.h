// A JSON body whose large parts (arrays of numbers, long base64 texts) never become a tree: they are lifted out by a
// pass over the text, and the rest is parsed as usual. What the fields mean is request_fields.h's.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "serve/float_scanner.h"
#include "serve/json_text.h"

namespace nla::serve {

// Fields of the body's object that are lifted out when their value is an array, or a string.
struct LiftedFields {
  std::vector<std::string> arrays = {};
  std::vector<std::string> texts = {};
};

struct RequestBody {
  Json fields;  // the object; lifted fields have the value true
  std::map<std::string, NestedFloats, std::less<>> arrays;
  std::map<std::string, std::string_view, std::less<>> texts;  // into the body's text
};

// Errors: MalformedBody where the text is not a JSON object or names a field twice; a usage error for an array that is
// not of numbers.
RequestBody ParseBody(std::string_view text, const LiftedFields& lifted);

}  // namespace nla::serve
