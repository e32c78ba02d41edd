// What a checkpoint directory says about its chat format: the template's text, the special tokens that templates read
// as variables, and the ids that end a reply.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace nla {

struct ChatSource {
  std::string text;                                              // of the template
  std::string where;                                             // names it in errors
  std::vector<std::pair<std::string, std::string>> tokens = {};  // "bos_token" and its like, with their spelling
  std::vector<TokenId> eos_ids = {};                             // of generation_config.json
};

// chat_template.jinja comes before tokenizer_config.json's chat_template, which is a string or a list of named ones: of
// these "default", or "tool_use" when there are tools and it is there. A directory without a template is an error.
ChatSource ReadChatSource(const std::filesystem::path& directory, bool with_tools);

}  // namespace nla
