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

// "left right", or ["left", "right"].
std::array<std::string_view, 2> MergeSides(const JsonView& merge) {
  if (merge.value().is_array()) {
    if (merge.size() != 2) merge.Fail("not a merge", fmt::format("{} pieces", merge.size()), "two pieces");
    return {merge.At(size_t{0}).String(), merge.At(size_t{1}).String()};
  }
  const std::string_view text = merge.String();
  const size_t space = text.find(' ');
  if (space == text.npos || text.find(' ', space + 1) != text.npos) {
    merge.Fail("not a merge", std::string(text), "two pieces separated by one space");
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

}  // namespace

// One word while it is merged; kept by each thread, so that its memory is reused.
struct Bpe::Word {
  struct Symbol {
    TokenId id;        // -1 once merged into its left neighbour
    int32_t previous;  // index, -1 at the ends
    int32_t next;
  };
  // A merge that may be possible, packed as rank << 32 | index of the left symbol: the smallest is merged first.
  using Candidate = uint64_t;

  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
};

Bpe::Bpe() {
  static std::atomic<uint32_t> instances = 0;
  instance_ = ++instances;
}

Bpe Bpe::FromJson(const JsonView& model, const Vocabulary& vocabulary) {
  model.RequireNeutral("dropout", 0.0);
  model.RequireNeutral("unk_token", nullptr);
  model.RequireNeutral("continuing_subword_prefix", "");
  model.RequireNeutral("end_of_word_suffix", "");
  model.RequireNeutral("byte_fallback", false);
  model.RequireNeutral("ignore_merges", false);
  Bpe made;
  for (size_t byte = 0; byte < 256; ++byte) {
    made.byte_ids_[byte] = vocabulary.Find(ByteSpellings()[byte]).value_or(-1);
  }
  made.ReadMerges(model.At("merges"), vocabulary);
  made.IndexMerges();
  return made;
}

void Bpe::ReadMerges(const JsonView& merges, const Vocabulary& vocabulary) {
  merges_.reserve(merges.Array().size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const JsonView merge = merges.At(i);
    // A legacy merges.txt carried over whole begins with its version line.
    if (merge.value().is_string() && merge.String().starts_with("#version")) continue;
    const auto [left, right] = MergeSides(merge);
    const auto piece = [&](std::string_view spelling) {
      const std::optional<TokenId> id = vocabulary.Find(spelling);
      if (!id)
        merge.Fail("merge of a piece that is not in model.vocab", std::string(spelling), "a piece of model.vocab");
      return *id;
    };
    merges_.push_back({piece(left), piece(right), piece(std::string(left) + std::string(right))});
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
  if (word.size() > CachedWord::kMaxBytes) return EncodeUncached(word, ids);
  CachedWord& slot = CacheSlot(word);
  const bool known = slot.instance == instance_ && std::string_view(slot.word.data(), slot.length) == word;
  if (known) {
    ids.insert(ids.end(), slot.ids.begin(), slot.ids.begin() + slot.id_count);
    return;
  }
  const size_t before = ids.size();
  EncodeUncached(word, ids);
  const size_t count = ids.size() - before;
  if (count > CachedWord::kMaxIds) return;
  slot.instance = instance_;
  slot.length = static_cast<uint8_t>(word.size());
  slot.id_count = static_cast<uint8_t>(count);
  std::copy(word.begin(), word.end(), slot.word.begin());
  std::copy(ids.begin() + static_cast<ptrdiff_t>(before), ids.end(), slot.ids.begin());
}

// Puts the merge of symbol `left` with its right neighbour, if there is one, at the end of the heap's storage.
bool Bpe::AppendCandidate(Word& word, int32_t left) const {
  if (left < 0) return false;
  const Word::Symbol& symbol = word.symbols[static_cast<size_t>(left)];
  if (symbol.next < 0) return false;
  const int32_t rank = Rank(symbol.id, word.symbols[static_cast<size_t>(symbol.next)].id);
  if (rank < 0) return false;
  word.heap.push_back(static_cast<Word::Candidate>(rank) << 32 | static_cast<Word::Candidate>(left));
  return true;
}

void Bpe::MergeAll(Word& word) const {
  auto& [symbols, heap] = word;
  for (size_t i = 0; i < symbols.size(); ++i) AppendCandidate(word, static_cast<int32_t>(i));
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  while (!heap.empty()) {
    const Merge& merge = merges_[heap.front() >> 32];
    const auto index = static_cast<int32_t>(heap.front() & 0xFFFFFFFFu);
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    heap.pop_back();
    Word::Symbol& left = symbols[static_cast<size_t>(index)];
    if (left.id != merge.left || left.next < 0) continue;
    Word::Symbol& right = symbols[static_cast<size_t>(left.next)];
    if (right.id != merge.right) continue;  // a neighbour has changed since
    left.id = merge.result;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = index;
    for (const int32_t changed : {left.previous, index}) {
      if (AppendCandidate(word, changed)) std::push_heap(heap.begin(), heap.end(), std::greater<>());
    }
  }
}

void Bpe::EncodeUncached(std::string_view bytes, std::vector<TokenId>& ids) const {
  thread_local Word word;
  word.symbols.clear();
  word.heap.clear();
  for (const char c : bytes) {
    const TokenId id = byte_ids_[static_cast<uint8_t>(c)];
    const auto index = static_cast<int32_t>(word.symbols.size());
    if (id >= 0) word.symbols.push_back({id, index - 1, index + 1});
  }
  if (word.symbols.empty()) return;
  word.symbols.back().next = -1;
  MergeAll(word);
  for (int32_t i = 0; i >= 0; i = word.symbols[static_cast<size_t>(i)].next) {
    ids.push_back(word.symbols[static_cast<size_t>(i)].id);
  }
}

}  // namespace nla
