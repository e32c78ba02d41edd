// Reads TemplateProcessing, ByteLevel, and Sequence of these.
#include "text/post_processor.h"

#include <fmt/format.h>

namespace nla {
namespace {

// "ids" of one entry of "special_tokens".
void AppendIds(const JsonView& entry, const Vocabulary& vocabulary, std::vector<TokenId>& ids) {
  const JsonView list = entry.At("ids").Array();
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonView item = list.At(i);
    const auto id = static_cast<TokenId>(item.Int(0, kMaxTokenId));
    if (!vocabulary.IsValid(id)) item.Fail("not an id of this tokenizer", fmt::format("{}", id), "the id of a token");
    ids.push_back(id);
  }
}

// Only "single" is used: nothing here encodes pairs of texts.
void ReadTemplate(const JsonView& section, const Vocabulary& vocabulary, PostProcessor& made) {
  const JsonView pieces = section.At("single").Array();
  std::vector<TokenId> before, behind;
  bool text_seen = false;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const JsonView piece = pieces.At(i);
    if (const auto special = piece.Find("SpecialToken")) {
      const JsonView entry = section.At("special_tokens").At(special->At("id").String());
      AppendIds(entry, vocabulary, text_seen ? behind : before);
    } else if (const auto sequence = piece.Find("Sequence"); sequence && !text_seen) {
      if (sequence->At("id").String() != "A") sequence->At("id").Unsupported("A");
      text_seen = true;
    } else {
      piece.Unsupported("SpecialToken, or the text (Sequence A) once");
    }
  }
  if (!text_seen) pieces.Fail("template without the text", "", "a piece Sequence A");
  made.prefix.insert(made.prefix.begin(), before.begin(), before.end());
  made.suffix.insert(made.suffix.end(), behind.begin(), behind.end());
}

void ReadByteLevel(const JsonView& section, PostProcessor& made) {
  const auto flag = [&](std::string_view key) {  // absent means true
    const std::optional<JsonView> field = section.Find(key);
    return !field || field->Bool();
  };
  if (flag("trim_offsets")) made.trims.push_back({.keep_prefix_space = flag("add_prefix_space")});
}

}  // namespace

PostProcessor PostProcessor::FromJson(const JsonView& section, const Vocabulary& vocabulary) {
  PostProcessor made;
  if (section.value().is_null()) return made;
  for (const JsonView& member : section.Members("processors")) {
    const JsonView type = member.At("type");
    if (type.String() == "TemplateProcessing") {
      ReadTemplate(member, vocabulary, made);
    } else if (type.String() == "ByteLevel") {
      ReadByteLevel(member, made);
    } else {
      type.Unsupported("TemplateProcessing, ByteLevel or a Sequence of them");
    }
  }
  return made;
}

}  // namespace nla
