// Replace, which tokenizer.json has among normalisers and among decoders: one string for another.
#pragma once

#include <string>

#include "text/json_view.h"

namespace nla {

struct Replacement {
  std::string from;  // not empty
  std::string to;
};

// Reads a section of type Replace.
Replacement ReadReplacement(const JsonView& section);

}  // namespace nla
