// Jinja decides when it compiles a template which block a name belongs to. Run-time look-up from block to block gives
// the same, save for one case, which this finds.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "text/jinja/ast.h"

namespace nla::jinja {

// By the body of a block: names that it assigns (not merely in some branch) without having read them, and that no block
// around it knows. They are the block's own from its beginning: blocks inside it see them as undefined until then,
// whatever variable of that name the rendering was given.
using OwnNames = std::unordered_map<const Body*, std::vector<std::string>>;

// Too many names and branches are an error; `where` names the template in it.
OwnNames FindOwnNames(const Body& root, const std::string& where);

}  // namespace nla::jinja
