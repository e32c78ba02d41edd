// Each step writes a text and, where asked, carries the origins of its bytes along as the `tokenizers` library does.
#include "text/normalizer.h"

#include "text/nfc.h"
#include "text/unicode.h"

namespace nla {
namespace {

constexpr std::string_view kKnown = "NFC, Replace or a Sequence of them";

// Appends `text` with every occurrence of `step.from` replaced. The replacement comes from where the last byte of what
// it replaces came from.
void Apply(const Replacement& step, std::string_view text, const ByteOrigins* before, std::string& out,
           ByteOrigins* after) {
  size_t done = 0;
  const auto keep = [&](size_t end) {
    out.append(text.substr(done, end - done));
    if (after != nullptr) {
      after->insert(after->end(), before->begin() + static_cast<ptrdiff_t>(done),
                    before->begin() + static_cast<ptrdiff_t>(end));
    }
  };
  for (size_t at; (at = text.find(step.from, done)) != text.npos; done = at + step.from.size()) {
    keep(at);
    out.append(step.to);
    if (after != nullptr) after->insert(after->end(), step.to.size(), (*before)[at + step.from.size() - 1]);
  }
  keep(text.size());
}

// A character that takes the place of others comes from where the first of them came from, an inserted one from where
// the one before it came from.
void Apply(Normalizer::Nfc, std::string_view text, const ByteOrigins* before, std::string& out, ByteOrigins* after) {
  out.reserve(text.size());
  size_t offset = 0;  // of the next character of `text` to be replaced
  for (const NfcChar& c : ComposeNfc(text)) {
    const size_t written = out.size();
    AppendUtf8(c.code_point, out);
    if (after == nullptr) continue;
    ByteRange origin{0, 0};
    if (c.change <= 0) {
      origin = (*before)[offset];
    } else if (offset > 0) {
      origin = (*before)[offset - 1];
    }
    after->insert(after->end(), out.size() - written, origin);
    for (int32_t taken = c.change; taken <= 0 && offset < text.size(); ++taken) {
      offset += static_cast<size_t>(DecodeChar(text.substr(offset)).length);
    }
  }
}

bool Changes(const Replacement& step, std::string_view text) { return text.find(step.from) != text.npos; }
bool Changes(Normalizer::Nfc, std::string_view text) { return !IsPlainlyNfc(text); }

}  // namespace

ByteOrigins OwnOrigins(std::string_view text) {
  ByteOrigins origins;
  origins.reserve(text.size());
  while (origins.size() < text.size()) {
    const size_t begin = origins.size();
    const auto length = static_cast<size_t>(DecodeChar(text.substr(begin)).length);
    origins.insert(origins.end(), length, {begin, begin + length});
  }
  return origins;
}

Normalizer Normalizer::FromJson(const JsonView& section) {
  Normalizer made;
  if (section.value().is_null()) return made;
  for (const JsonView& member : section.Members("normalizers")) {
    const JsonView type = member.At("type");
    if (type.String() == "NFC") {
      made.steps_.emplace_back(Nfc{});
    } else if (type.String() == "Replace") {
      made.steps_.emplace_back(ReadReplacement(member));
    } else {
      type.Unsupported(std::string(kKnown));
    }
  }
  return made;
}

std::string_view Normalizer::Apply(std::string_view text, std::string& storage, ByteOrigins* origins) const {
  for (const auto& step : steps_) {
    if (!std::visit([&](const auto& s) { return Changes(s, text); }, step)) continue;
    std::string out;
    ByteOrigins after;
    if (origins != nullptr && origins->empty()) *origins = OwnOrigins(text);
    std::visit([&](const auto& s) { nla::Apply(s, text, origins, out, origins != nullptr ? &after : nullptr); }, step);
    storage = std::move(out);
    text = storage;
    if (origins != nullptr) *origins = std::move(after);
  }
  return text;
}

}  // namespace nla
