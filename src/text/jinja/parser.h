// Templates from source to a tree.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/ast.h"

namespace nla::jinja {

// What is broken or not supported is an error that names the line and the construct; `where` names the template.
Body ParseTemplate(std::string_view source, const std::string& where);

}  // namespace nla::jinja
