// The "pre_tokenizer" of tokenizer.json: cuts text into the words inside which the model merges.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "text/json_view.h"

namespace nla {

// Immutable; safe to share between threads.
class PreTokenizer {
 public:
  // Appends the parts of one piece of valid UTF-8; together they are all of it.
  using Step = std::function<void(std::string_view piece, std::vector<std::string_view>& parts)>;

  // Reads the section, which may be null. With `byte_level` it must end in ByteLevel, whose alphabet the vocabulary is
  // spelled in; else it must not have it.
  static PreTokenizer FromJson(const JsonView& section, bool byte_level);

  std::vector<std::string_view> Cut(std::string_view text) const;

 private:
  std::vector<Step> steps_;
};

}  // namespace nla
