// Rendered chats to ids: special tokens only where the template spelled them.
#pragma once

#include <span>
#include <vector>

#include "text/chat.h"
#include "text/jinja/text.h"

namespace nla {

// Neighbouring characters of one origin as one run.
std::vector<ChatRun> RunsOf(const jinja::Text& text);

// The ids of the whole text, with special tokens parsed, when no run of a message spells one or completes one.
// Otherwise the text between the template's special tokens is encoded with special parsing off.
std::vector<TokenId> EncodeRuns(const Tokenizer& tokenizer, std::span<const ChatRun> runs);

}  // namespace nla
