// Builds the two directions of the vocabulary and refuses contradictions.
#include "text/vocabulary.h"

#include <fmt/format.h>

namespace nla {

Vocabulary Vocabulary::FromJson(const JsonView& vocab, PieceDecoder decoder) {
  Vocabulary made;
  made.decoder_ = std::move(decoder);
  made.ids_.reserve(vocab.Object().size());
  for (const auto& [spelling, id] : vocab.value().items()) {
    // A view of each of some hundred thousand entries would take seconds, so it is made where there is an error to
    // tell.
    if (id.is_number_integer() && id >= 0 && id <= kMaxTokenId && !made.IsValid(id.get<TokenId>())) {
      made.Insert(spelling, id.get<TokenId>());
      continue;
    }
    const JsonView entry = vocab.At(spelling);
    made.Add(spelling, static_cast<TokenId>(entry.Int(0, kMaxTokenId)), entry);
  }
  return made;
}

void Vocabulary::Insert(std::string_view spelling, TokenId id) {
  if (id >= size()) {
    const size_t count = static_cast<size_t>(id) + 1;
    bytes_.resize(count);
    present_.resize(count);
    fallback_.resize(count);
  }
  present_[static_cast<size_t>(id)] = true;
  ids_.emplace(spelling, id);
  Respell(id, spelling);
}

void Vocabulary::Respell(TokenId id, std::string_view spelling) {
  const auto index = static_cast<size_t>(id);
  bytes_[index] = decoder_.Bytes(spelling);
  fallback_[index] = !decoder_.byte_level() && ByteOfFallback(spelling).has_value();
}

void Vocabulary::Add(std::string_view spelling, TokenId id, const JsonView& source) {
  const std::optional<TokenId> known = Find(spelling);
  if (known == id) return;
  if (known) source.Fail("token has two ids", fmt::format("{} and {}", *known, id), "one id");
  if (IsValid(id)) source.Fail("id used by two tokens", fmt::format("{}, also of \"{}\"", id, Bytes(id)), "one token");
  Insert(spelling, id);
}

std::optional<TokenId> Vocabulary::Find(std::string_view spelling) const {
  const auto found = ids_.find(spelling);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

}  // namespace nla
