// Compares the tokenizer and the chat format with records that tools/goldens/text_tokenizer.py wrote.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "text/chat.h"
#include "text/tokenizer.h"

namespace nla::testing {

struct OracleCounts {
  int lines = 0;
  int decodes = 0;
  int chats = 0;
};

// Checks every record of a JSON-lines file; stops at the first that differs. `chat_of` gives the format of a record's
// "template" field ("" where it has none).
OracleCounts CheckRecords(const std::filesystem::path& file, const Tokenizer& tokenizer,
                          const std::function<const ChatFormat&(const std::string&)>& chat_of);

// Decode of `ids` by the streaming decoder.
std::string StreamAll(const Tokenizer& tokenizer, std::span<const TokenId> ids, bool skip_special);

// Message of the nla::Error that `action` throws; a test failure and "" when it throws none.
std::string ErrorOf(const std::function<void()>& action);

}  // namespace nla::testing
