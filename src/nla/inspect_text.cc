// Tokenizers and chat templates alone.
#include <fmt/format.h>

#include "base/file.h"
#include "nla/inspect_kinds.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace nla {
namespace {

// White space, capitals, digits, a letter of two bytes, a symbol of four.
constexpr std::string_view kSample = "  The café’s bill:\n\t12,345 + 6 = 😀";

}  // namespace

void InspectTokenizer(const InspectSubject& subject, Inspection& out) {
  out.Try([&] {
    const Tokenizer tokenizer = Tokenizer::Load(subject.path);
    int64_t special = 0;
    for (int64_t id = 0; id < tokenizer.vocab_size(); ++id) special += tokenizer.IsSpecial(static_cast<TokenId>(id));
    out.Fact("vocabulary", tokenizer.vocab_size());
    out.Fact("special tokens", special);
    out.Fact("put before a text", static_cast<int64_t>(tokenizer.PrefixIds().size()));
    const std::vector<TokenId> ids = tokenizer.Encode(kSample, {.add_special = false});
    out.Fact("a sample line",
             fmt::format("{} tokens, {}", ids.size(),
                         tokenizer.Decode(ids) == kSample ? "decoded to the same text" : "decoded to another text"));
    out.Fact("hash", tokenizer.hash());
  });
}

void InspectChatTemplate(const InspectSubject& subject, Inspection& out) {
  out.Try([&] {
    const bool alone = subject.path.extension() == ".jinja";
    const fs::path directory = subject.path.parent_path().empty() ? "." : subject.path.parent_path();
    const ChatFormat chat = alone ? ChatFormat::FromText(ReadFile(subject.path, 1 << 24), subject.path.string())
                                  : ChatFormat::Load(directory);
    const std::vector<ChatMessage> messages = {{"user", "…"}};
    out.Fact("a user turn", chat.RenderText(messages, true));
    if (!chat.end_of_turn().empty()) out.Fact("ends a turn", chat.end_of_turn());
  });
}

}  // namespace nla
