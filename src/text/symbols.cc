// Bytes to symbols, characters to symbols with bytes as the fallback, and the table of joints.
#include "text/symbols.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/byte_level.h"
#include "text/code_point_table.h"
#include "text/unicode.h"

namespace nla {

void Joints::Grow(size_t slots) {
  const std::vector<uint64_t> before = std::exchange(keys_, std::vector<uint64_t>(slots, 0));
  for (const uint64_t key : before) {
    if (key == 0) continue;
    size_t slot = Slot(key);
    while (keys_[slot] != 0) slot = (slot + 1) & (keys_.size() - 1);
    keys_[slot] = key;
  }
}

void Joints::Add(uint32_t left, uint32_t right) {
  if (left < 128 && right < 128) {
    ascii_.set(left * 128 + right);
    return;
  }
  if (Has(left, right)) return;
  if (++count_ * 2 > keys_.size()) Grow(keys_.size() * 2);
  const uint64_t key = Key(left, right);
  size_t slot = Slot(key);
  while (keys_[slot] != 0) slot = (slot + 1) & (keys_.size() - 1);
  keys_[slot] = key;
}

Symbols Symbols::FromJson(const JsonView& model, const Vocabulary& vocabulary) {
  model.RequireNeutral("continuing_subword_prefix", "");
  model.RequireNeutral("end_of_word_suffix", "");
  const auto flag = [&](std::string_view key) {
    const std::optional<JsonView> field = model.Find(key);
    return field && field->Bool();
  };
  Symbols made;
  made.byte_level_ = vocabulary.decoder().byte_level();
  if (made.byte_level_) {
    model.RequireNeutral("unk_token", nullptr);
    model.RequireNeutral("byte_fallback", false);
    for (size_t byte = 0; byte < 256; ++byte) {
      made.byte_ids_[byte] = vocabulary.Find(ByteSpellings()[byte]).value_or(-1);
    }
    return made;
  }
  made.byte_fallback_ = flag("byte_fallback");
  made.fuse_unknown_ = flag("fuse_unk");
  if (const auto unknown = model.Find("unk_token")) {
    const std::optional<TokenId> id = vocabulary.Find(unknown->String());
    if (!id) unknown->Fail("not a piece of model.vocab", unknown->String(), "a piece of model.vocab");
    made.unknown_ = *id;
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    made.byte_ids_[byte] = vocabulary.Find(fmt::format("<0x{:02X}>", byte)).value_or(-1);
  }
  made.char_ids_.assign(kCodePoints, -1);
  for (const auto& [spelling, id] : model.At("vocab").value().get_ref<const nlohmann::json::object_t&>()) {
    if (spelling.empty()) continue;
    const DecodedChar c = DecodeChar(spelling);
    if (static_cast<size_t>(c.length) == spelling.size()) made.char_ids_[c.code_point] = id.get<TokenId>();
  }
  // A character that yields nothing would make neighbours of those around it, and one that yields an unknown symbol
  // would fuse with the next: then there are no chunks.
  made.cuttable_ = made.byte_fallback_ && std::count(made.byte_ids_.begin(), made.byte_ids_.end(), -1) == 0;
  return made;
}

void Symbols::AddMerge(std::string_view left, std::string_view right) {
  if (!cuttable_) return;
  if (left.empty() || right.empty() || ByteOfFallback(left) || ByteOfFallback(right)) {
    cuttable_ = false;  // merges bytes of a character, which joints do not speak of
    return;
  }
  joints_.Add(DecodeChar(left.substr(LastCharOffset(left))).code_point, DecodeChar(right).code_point);
}

size_t Symbols::ChunkEnd(std::string_view word, size_t begin) const {
  if (!cuttable_) return word.size();
  DecodedChar last = DecodeChar(word.substr(begin));
  size_t end = begin + static_cast<size_t>(last.length);
  while (end < word.size()) {
    const DecodedChar next = DecodeChar(word.substr(end));
    if (!joints_.Has(last.code_point, next.code_point)) break;
    last = next;
    end += static_cast<size_t>(next.length);
  }
  return end;
}

void Symbols::Split(std::string_view word, std::vector<Symbol>& symbols) const {
  if (!byte_level_) return SplitCharacters(word, symbols);
  for (uint32_t i = 0; i < word.size(); ++i) {
    const TokenId id = byte_ids_[static_cast<uint8_t>(word[i])];
    if (id >= 0) symbols.push_back({id, i, i + 1});
  }
}

bool Symbols::AppendFallback(std::string_view word, uint32_t begin, uint32_t end, std::vector<Symbol>& symbols) const {
  if (!byte_fallback_) return false;
  const auto id = [&](uint32_t i) { return byte_ids_[static_cast<uint8_t>(word[i])]; };
  for (uint32_t i = begin; i < end; ++i) {
    if (id(i) < 0) return false;
  }
  for (uint32_t i = begin; i < end; ++i) symbols.push_back({id(i), i, i + 1});
  return true;
}

// The library holds an unknown symbol back until a known character follows, also across bytes of a fallback.
void Symbols::SplitCharacters(std::string_view word, std::vector<Symbol>& symbols) const {
  std::optional<Symbol> unknown;
  const auto release = [&] {
    if (unknown) symbols.push_back(*unknown);
    unknown.reset();
  };
  for (uint32_t begin = 0, end = 0; begin < word.size(); begin = end) {
    const DecodedChar c = DecodeChar(word.substr(begin));
    end = begin + static_cast<uint32_t>(c.length);
    const TokenId id = char_ids_[c.code_point];
    if (id >= 0) {
      release();
      symbols.push_back({id, begin, end});
      continue;
    }
    if (AppendFallback(word, begin, end, symbols) || unknown_ < 0) continue;
    if (unknown && fuse_unknown_) {
      unknown->end = end;
      continue;
    }
    release();
    unknown = Symbol{unknown_, begin, end};
  }
  release();
}

}  // namespace nla
