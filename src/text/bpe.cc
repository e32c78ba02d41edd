// Merging with a heap over a linked list, a flat hash table of merges, and a direct-mapped word cache per thread.
#include "text/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <functional>

#include "text/byte_level.h"

namespace nla {
namespace {

// One cache line: a short word and its ids.
struct alignas(64) CachedWord {
  static constexpr size_t kMaxBytes = 34;
  static constexpr size_t kMaxIds = 6;
  uint32_t instance = 0;  // of the Bpe; 0 is free
  uint8_t length = 0;
  uint8_t id_count = 0;
  std::array<char, kMaxBytes> word;
  std::array<TokenId, kMaxIds> ids;
};
static_assert(sizeof(CachedWord) == 64);

constexpr size_t kCacheSlots = 1 << 14;

CachedWord& CacheSlot(std::string_view word) {
  thread_local std::vector<CachedWord> slots(kCacheSlots);
  return slots[std::hash<std::string_view>{}(word) % kCacheSlots];
}

uint64_t HashPair(TokenId left, TokenId right) {
  const uint64_t pair = static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  return (pair * 0x9E3779B97F4A7C15u) >> 29;
}

using MergeSides = std::array<std::string_view, 2>;

// "left right", or ["left", "right"]; nothing if it is neither.
std::optional<MergeSides> SidesOf(const nlohmann::json& merge) {
  if (merge.is_array()) {
    if (merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) return std::nullopt;
    return MergeSides{merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
  }
  if (!merge.is_string()) return std::nullopt;
  const std::string_view text = merge.get_ref<const std::string&>();
  const size_t space = text.find(' ');
  if (space == text.npos || text.find(' ', space + 1) != text.npos) return std::nullopt;
  return MergeSides{text.substr(0, space), text.substr(space + 1)};
}

[[noreturn]] void RefuseMerge(const JsonView& merge) {
  if (!merge.value().is_array()) {
    merge.Fail("not a merge", merge.String(), "two pieces separated by one space, or a list of two pieces");
  }
  for (size_t i = 0; i < merge.size(); ++i) merge.At(i).String();
  merge.Fail("not a merge", fmt::format("{} pieces", merge.size()), "two pieces");
}

}  // namespace

// One word while it is merged; kept by each thread, so that its memory is reused.
struct Bpe::Word {
  struct Links {
    int32_t previous;  // index of a symbol, -1 at the ends
    int32_t next;
  };
  // A merge that may be possible, packed as rank << 32 | index of the left symbol: the smallest is merged first.
  using Candidate = uint64_t;

  std::vector<Symbol> symbols;  // id -1 once merged into the left neighbour
  std::vector<Links> links;
  std::vector<Candidate> heap;
};

Bpe::Bpe() {
  static std::atomic<uint32_t> instances = 0;
  instance_ = ++instances;
}

Bpe Bpe::FromJson(const JsonView& model, const Vocabulary& vocabulary) {
  model.RequireNeutral("dropout", 0.0);
  Bpe made;
  made.symbols_ = Symbols::FromJson(model, vocabulary);
  made.ReadMerges(model.At("merges"), vocabulary);
  made.IndexMerges();
  made.MeasurePieces(model.At("vocab"), vocabulary);
  if (const auto ignore_merges = model.Find("ignore_merges"); ignore_merges && ignore_merges->Bool()) {
    made.FindUnreachable(model.At("vocab"), vocabulary);
  }
  return made;
}

void Bpe::ReadMerges(const JsonView& merges, const Vocabulary& vocabulary) {
  merges_.reserve(merges.Array().size());
  std::string joined;
  for (size_t i = 0; i < merges.size(); ++i) {
    const nlohmann::json& merge = merges.value()[i];
    // A legacy merges.txt carried over whole begins with its version line.
    if (merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    const std::optional<MergeSides> sides = SidesOf(merge);
    if (!sides) RefuseMerge(merges.At(i));
    const auto piece = [&](std::string_view spelling) {
      const std::optional<TokenId> id = vocabulary.Find(spelling);
      if (!id) {
        merges.At(i).Fail("merge of a piece that is not in model.vocab", std::string(spelling),
                          "a piece of model.vocab");
      }
      return *id;
    };
    const auto [left, right] = *sides;
    joined.assign(left).append(right);
    merges_.push_back({piece(left), piece(right), piece(joined)});
    symbols_.AddMerge(left, right);
  }
}

void Bpe::MeasurePieces(const JsonView& vocab, const Vocabulary& vocabulary) {
  lengths_.assign(static_cast<size_t>(vocabulary.size()), 0);
  for (const auto& [spelling, id] : vocab.value().get_ref<const nlohmann::json::object_t&>()) {
    const auto piece = id.get<TokenId>();
    const bool bytes = vocabulary.decoder().byte_level() || vocabulary.IsFallbackByte(piece);
    lengths_[static_cast<size_t>(piece)] =
        static_cast<uint32_t>(bytes ? vocabulary.Bytes(piece).size() : spelling.size());
  }
  if (symbols_.unknown() >= 0) lengths_[static_cast<size_t>(symbols_.unknown())] = 0;
}

// A word that is a piece is that piece, says ignore_merges. Merging says so too of all but these.
void Bpe::FindUnreachable(const JsonView& vocab, const Vocabulary& vocabulary) {
  const bool byte_level = vocabulary.decoder().byte_level();
  std::vector<TokenId> ids;
  for (const auto& [spelling, id] : vocab.value().get_ref<const nlohmann::json::object_t&>()) {
    const std::optional<std::string> word = byte_level ? BytesOfSpelling(spelling) : spelling;
    if (!word || word->empty()) continue;
    ids.clear();
    EncodeUncached(*word, ids);
    if (ids != std::vector{id.get<TokenId>()}) unreachable_.emplace(*word, id.get<TokenId>());
  }
}

void Bpe::IndexMerges() {
  ranks_.assign(std::bit_ceil(2 * merges_.size() + 2), -1);
  mask_ = ranks_.size() - 1;
  for (size_t rank = 0; rank < merges_.size(); ++rank) {
    uint64_t slot = HashPair(merges_[rank].left, merges_[rank].right) & mask_;
    const auto taken_by_another_pair = [&](int32_t other) {
      return other >= 0 && (merges_[static_cast<size_t>(other)].left != merges_[rank].left ||
                            merges_[static_cast<size_t>(other)].right != merges_[rank].right);
    };
    while (taken_by_another_pair(ranks_[slot])) slot = (slot + 1) & mask_;
    ranks_[slot] = static_cast<int32_t>(rank);  // of a merge listed twice the last one counts, as in the library
  }
}

int32_t Bpe::Rank(TokenId left, TokenId right) const {
  for (uint64_t slot = HashPair(left, right) & mask_;; slot = (slot + 1) & mask_) {
    const int32_t rank = ranks_[slot];
    if (rank < 0) return -1;
    const Merge& merge = merges_[static_cast<size_t>(rank)];
    if (merge.left == left && merge.right == right) return rank;
  }
}

void Bpe::Encode(std::string_view word, std::vector<TokenId>& ids) const {
  for (size_t begin = 0; begin < word.size();) {
    const size_t end = symbols_.ChunkEnd(word, begin);
    EncodeChunk(word.substr(begin, end - begin), ids);
    begin = end;
  }
}

void Bpe::EncodeChunk(std::string_view chunk, std::vector<TokenId>& ids) const {
  if (chunk.size() > CachedWord::kMaxBytes) return EncodeUncached(chunk, ids);
  CachedWord& slot = CacheSlot(chunk);
  const bool known = slot.instance == instance_ && std::string_view(slot.word.data(), slot.length) == chunk;
  if (known) {
    ids.insert(ids.end(), slot.ids.begin(), slot.ids.begin() + slot.id_count);
    return;
  }
  const size_t before = ids.size();
  EncodeUncached(chunk, ids);
  const size_t count = ids.size() - before;
  if (count > CachedWord::kMaxIds) return;
  slot.instance = instance_;
  slot.length = static_cast<uint8_t>(chunk.size());
  slot.id_count = static_cast<uint8_t>(count);
  std::copy(chunk.begin(), chunk.end(), slot.word.begin());
  std::copy(ids.begin() + static_cast<ptrdiff_t>(before), ids.end(), slot.ids.begin());
}

void Bpe::EncodeUncached(std::string_view chunk, std::vector<TokenId>& ids) const {
  ForEachMerged(chunk, [&](const Symbol& symbol) { ids.push_back(symbol.id); });
}

// Nothing is appended where the pieces' lengths do not tell: a byte without a piece, an unknown character.
bool Bpe::AppendRanges(std::span<const TokenId> ids, ByteRange chunk, std::vector<ByteRange>& ranges) const {
  const size_t before = ranges.size();
  size_t begin = chunk.begin;
  for (const TokenId id : ids) {
    const size_t length = lengths_[static_cast<size_t>(id)];
    ranges.push_back({begin, begin + length});
    if (length == 0) break;
    begin += length;
  }
  if (begin == chunk.end && ranges.size() - before == ids.size()) return true;
  ranges.resize(before);
  return false;
}

void Bpe::EncodeRanges(std::string_view word, std::vector<TokenId>& ids, std::vector<ByteRange>& ranges) const {
  for (size_t begin = 0; begin < word.size();) {
    const size_t end = symbols_.ChunkEnd(word, begin);
    const size_t before = ids.size();
    const std::string_view chunk = word.substr(begin, end - begin);
    EncodeChunk(chunk, ids);
    if (!AppendRanges(std::span(ids).subspan(before), {begin, end}, ranges)) {
      ids.resize(before);
      ForEachMerged(chunk, [&](const Symbol& symbol) {
        ids.push_back(symbol.id);
        ranges.push_back({begin + symbol.begin, begin + symbol.end});
      });
    }
    begin = end;
  }
}

template <typename Visit>
void Bpe::ForEachMerged(std::string_view chunk, Visit visit) const {
  if (!unreachable_.empty()) {
    const auto found = unreachable_.find(std::string(chunk));
    if (found != unreachable_.end()) return visit(Symbol{found->second, 0, static_cast<uint32_t>(chunk.size())});
  }
  thread_local Word word;
  word.symbols.clear();
  symbols_.Split(chunk, word.symbols);
  if (word.symbols.empty()) return;
  MergeAll(word);
  for (int32_t i = 0; i >= 0; i = word.links[static_cast<size_t>(i)].next) visit(word.symbols[static_cast<size_t>(i)]);
}

// Puts the merge of symbol `left` with its right neighbour, if there is one, at the end of the heap's storage.
bool Bpe::AppendCandidate(Word& word, int32_t left) const {
  if (left < 0) return false;
  const int32_t right = word.links[static_cast<size_t>(left)].next;
  if (right < 0) return false;
  const int32_t rank = Rank(word.symbols[static_cast<size_t>(left)].id, word.symbols[static_cast<size_t>(right)].id);
  if (rank < 0) return false;
  word.heap.push_back(static_cast<Word::Candidate>(rank) << 32 | static_cast<Word::Candidate>(left));
  return true;
}

void Bpe::MergeAll(Word& word) const {
  auto& [symbols, links, heap] = word;
  links.clear();
  heap.clear();
  for (int32_t i = 0; i < static_cast<int32_t>(symbols.size()); ++i) links.push_back({i - 1, i + 1});
  links.back().next = -1;
  for (int32_t i = 0; i < static_cast<int32_t>(symbols.size()); ++i) AppendCandidate(word, i);
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  while (!heap.empty()) {
    const Merge& merge = merges_[heap.front() >> 32];
    const auto index = static_cast<int32_t>(heap.front() & 0xFFFFFFFFu);
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    heap.pop_back();
    Word::Links& link = links[static_cast<size_t>(index)];
    Symbol& left = symbols[static_cast<size_t>(index)];
    if (left.id != merge.left || link.next < 0) continue;
    Symbol& right = symbols[static_cast<size_t>(link.next)];
    if (right.id != merge.right) continue;  // a neighbour has changed since
    left.id = merge.result;
    left.end = right.end;
    right.id = -1;
    link.next = links[static_cast<size_t>(link.next)].next;
    if (link.next >= 0) links[static_cast<size_t>(link.next)].previous = index;
    for (const int32_t changed : {link.previous, index}) {
      if (AppendCandidate(word, changed)) std::push_heap(heap.begin(), heap.end(), std::greater<>());
    }
  }
}

}  // namespace nla
