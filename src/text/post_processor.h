// The "post_processor" of tokenizer.json: ids before and behind a text, and offsets without white space.
#pragma once

#include <vector>

#include "text/json_view.h"
#include "text/vocabulary.h"

namespace nla {

struct PostProcessor {
  // How ByteLevel with trim_offsets takes white space out of offsets.
  struct Trim {
    bool keep_prefix_space = false;  // a lone space that begins the text counts as part of its token
  };

  // `section` is null where the file has none.
  static PostProcessor FromJson(const JsonView& section, const Vocabulary& vocabulary);

  std::vector<TokenId> prefix, suffix;  // around a single text
  std::vector<Trim> trims;
};

}  // namespace nla
