// Whole pages of a common beginning are shared; the rows of a page that is common only in part are copied.
#include "engine/sequences.h"

#include <algorithm>

#include "base/fail.h"

namespace nla {
namespace {

// Sequences remembered at most: each new prompt is compared with all of them.
constexpr size_t kMostRemembered = 256;

int64_t PagesFor(int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

int64_t CommonRows(const std::vector<RowKey>& a, const std::vector<RowKey>& b, int64_t limit) {
  limit = std::min({limit, static_cast<int64_t>(a.size()), static_cast<int64_t>(b.size())});
  int64_t common = 0;
  while (common < limit && a[common] == b[common]) ++common;
  return common;
}

}  // namespace

Sequences::Sequences(const Decoder& decoder, int64_t tokens)
    : cache_(decoder.spec(), decoder.blocks(), PagesFor(tokens), decoder.compute()), pool_(PagesFor(tokens)) {}

int64_t Sequences::used_tokens() const {
  std::vector<bool> used(pool_.pages(), false);
  for (const Sequence* sequence : open_) {
    for (const int32_t page : sequence->pages) used[page] = true;
  }
  return std::count(used.begin(), used.end(), true) * kPageTokens;
}

Sequences::Beginning Sequences::Find(const std::vector<RowKey>& keys, int64_t most) const {
  const int64_t limit = std::min(most, static_cast<int64_t>(keys.size()) - 1);
  Beginning best;
  for (const Sequence* sequence : open_) {
    const int64_t common = CommonRows(keys, sequence->keys, limit);
    best.stored = std::max(best.stored, std::min(common, sequence->stored));
    best.promised = std::max(best.promised, common);
  }
  for (const Sequence& sequence : remembered_) {
    best.stored = std::max(best.stored, CommonRows(keys, sequence.keys, std::min(limit, sequence.stored)));
  }
  best.promised = std::max(best.promised, best.stored);
  return best;
}

Sequence* Sequences::Donor(const std::vector<RowKey>& keys, int64_t most, int64_t& shared) {
  const int64_t limit = std::min(most, static_cast<int64_t>(keys.size()) - 1);
  Sequence* best = nullptr;
  shared = 0;
  const auto look = [&](Sequence& sequence) {
    const int64_t common = CommonRows(keys, sequence.keys, std::min(limit, sequence.stored));
    if (common <= shared) return false;
    best = &sequence;
    shared = common;
    return true;
  };
  for (Sequence* sequence : open_) look(*sequence);
  auto used = remembered_.end();
  for (auto it = remembered_.begin(); it != remembered_.end(); ++it) {
    if (look(*it)) used = it;
  }
  if (used != remembered_.end()) remembered_.splice(remembered_.end(), remembered_, used);
  return best;
}

std::unique_ptr<Sequence> Sequences::Open(std::vector<RowKey> keys, int64_t tokens, int64_t most) {
  NLA_CHECK(!keys.empty() && tokens >= static_cast<int64_t>(keys.size()) && tokens <= total_tokens());
  int64_t shared = 0;
  const Sequence* donor = Donor(keys, most, shared);
  auto sequence = std::make_unique<Sequence>();
  for (int64_t i = 0; i < shared / kPageTokens; ++i) {
    sequence->pages.push_back(donor->pages[i]);
    pool_.Share(donor->pages[i]);
  }
  // Held by a second owner while room is made, so that its rows can be copied even if its donor is given up.
  const int64_t rest = shared % kPageTokens;
  const int32_t partial = rest > 0 ? donor->pages[shared / kPageTokens] : -1;
  if (partial >= 0) pool_.Share(partial);
  const int64_t missing = PagesFor(tokens) - static_cast<int64_t>(sequence->pages.size());
  const bool room = MakeRoom(missing);
  if (room) {
    for (int64_t i = 0; i < missing; ++i) sequence->pages.push_back(pool_.Take());
    if (partial >= 0) cache_.CopyPage(partial, sequence->pages[shared / kPageTokens], rest);
  }
  if (partial >= 0) pool_.Drop(partial);
  if (!room) {
    for (const int32_t page : sequence->pages) pool_.Drop(page);
    return nullptr;
  }
  sequence->keys = std::move(keys);
  sequence->stored = shared;
  open_.push_back(sequence.get());
  return sequence;
}

void Sequences::Close(std::unique_ptr<Sequence> sequence) {
  std::erase(open_, sequence.get());
  const int64_t kept = PagesFor(sequence->stored);
  for (size_t i = kept; i < sequence->pages.size(); ++i) pool_.Drop(sequence->pages[i]);
  if (sequence->stored == 0) return;
  sequence->pages.resize(kept);
  sequence->keys.resize(sequence->stored);
  remembered_.push_back(std::move(*sequence));
  if (remembered_.size() > kMostRemembered) ForgetOldest();
}

void Sequences::Discard(std::unique_ptr<Sequence> sequence) {
  std::erase(open_, sequence.get());
  for (const int32_t page : sequence->pages) pool_.Drop(page);
}

void Sequences::Forget() {
  while (!remembered_.empty()) ForgetOldest();
}

void Sequences::ForgetOldest() {
  for (const int32_t page : remembered_.front().pages) pool_.Drop(page);
  remembered_.pop_front();
}

// Gives up remembered sequences, but only when that is enough.
bool Sequences::MakeRoom(int64_t pages) {
  if (pool_.free() >= pages) return true;
  std::vector<int32_t> remembering(pool_.pages(), 0);
  int64_t gained = 0;
  for (const Sequence& sequence : remembered_) {
    for (const int32_t page : sequence.pages) gained += ++remembering[page] == pool_.owners(page) ? 1 : 0;
  }
  if (pool_.free() + gained < pages) return false;
  while (pool_.free() < pages) ForgetOldest();
  return true;
}

}  // namespace nla
