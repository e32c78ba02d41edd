// Builds the two directions of the vocabulary and refuses contradictions.
#include "text/vocabulary.h"

#include <fmt/format.h>

#include "text/byte_level.h"

namespace nla {

Vocabulary Vocabulary::FromJson(const JsonView& vocab) {
  Vocabulary made;
  made.ids_.reserve(vocab.Object().size());
  for (const auto& [spelling, id] : vocab.value().items()) {
    const JsonView entry = vocab.At(spelling);
    made.Add(spelling, static_cast<TokenId>(entry.Int(0, kMaxTokenId)), entry);
  }
  return made;
}

void Vocabulary::Add(std::string_view spelling, TokenId id, const JsonView& source) {
  const std::optional<TokenId> known = Find(spelling);
  if (known == id) return;
  if (known) source.Fail("token has two ids", fmt::format("{} and {}", *known, id), "one id");
  if (IsValid(id)) source.Fail("id used by two tokens", fmt::format("{}, also of \"{}\"", id, Bytes(id)), "one token");
  if (id >= size()) {
    bytes_.resize(static_cast<size_t>(id) + 1);
    present_.resize(static_cast<size_t>(id) + 1);
  }
  bytes_[static_cast<size_t>(id)] = BytesOfSpelling(spelling).value_or(std::string(spelling));
  present_[static_cast<size_t>(id)] = true;
  ids_.emplace(spelling, id);
}

std::optional<TokenId> Vocabulary::Find(std::string_view spelling) const {
  const auto found = ids_.find(spelling);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

}  // namespace nla
