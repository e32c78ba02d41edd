// Decomposition, canonical ordering and recomposition, with the count of characters that each step adds or takes.
#include "text/nfc.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "text/code_point_table.h"
#include "text/unicode.h"

namespace nla {
namespace {

namespace hangul {
constexpr uint32_t kSyllable = 0xAC00, kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7;
constexpr uint32_t kLeads = 19, kVowels = 21, kTails = 28;
constexpr uint32_t kSyllables = kLeads * kVowels * kTails;

bool IsSyllable(uint32_t c) { return c - kSyllable < kSyllables; }
bool IsVowel(uint32_t c) { return c - kVowel < kVowels; }
bool IsTail(uint32_t c) { return c - (kTail + 1) < kTails - 1; }

uint32_t Compose(uint32_t first, uint32_t second) {  // 0: they do not
  if (first - kLead < kLeads && IsVowel(second)) {
    return kSyllable + ((first - kLead) * kVowels + (second - kVowel)) * kTails;
  }
  const bool open = IsSyllable(first) && (first - kSyllable) % kTails == 0;
  return open && IsTail(second) ? first + (second - kTail) : 0;
}
}  // namespace hangul

uint64_t PairKey(uint32_t first, uint32_t second) { return static_cast<uint64_t>(first) << 32 | second; }

class Tables {
 public:
  static const Tables& Get() {
    static const Tables tables;
    return tables;
  }

  uint8_t Class(uint32_t c) const { return classes_.At(c); }
  bool Inert(uint32_t c) const { return active_.At(c) == 0; }

  uint32_t Compose(uint32_t first, uint32_t second) const {  // 0: they do not
    if (const uint32_t syllable = hangul::Compose(first, second)) return syllable;
    const auto found = compositions_.find(PairKey(first, second));
    return found == compositions_.end() ? 0 : found->second;
  }

  template <typename Emit>
  void Decompose(uint32_t c, Emit emit) const {
    if (hangul::IsSyllable(c)) {
      const uint32_t index = c - hangul::kSyllable;
      emit(hangul::kLead + index / (hangul::kVowels * hangul::kTails));
      emit(hangul::kVowel + index / hangul::kTails % hangul::kVowels);
      if (index % hangul::kTails != 0) emit(hangul::kTail + index % hangul::kTails);
      return;
    }
    const auto found = c < 0x80 ? decompositions_.end() : decompositions_.find(c);
    if (found == decompositions_.end()) return emit(c);
    for (const uint32_t part : found->second) {
      if (part != 0) emit(part);
    }
  }

 private:
  Tables() : classes_(MakeClasses()), active_(MakeActive()) {
    for (const NfcDecomposition& row : NfcDecompositions()) decompositions_.emplace(row.code_point, row.parts);
    for (const NfcComposition& row : NfcCompositions()) {
      compositions_.emplace(PairKey(row.first, row.second), row.composed);
    }
  }

  static std::vector<uint8_t> MakeClasses() {
    std::vector<uint8_t> classes(kCodePoints, 0);
    for (const CombiningRange& range : CombiningRanges()) {
      std::fill(classes.begin() + range.first, classes.begin() + range.last + 1, range.combining_class);
    }
    return classes;
  }

  // Marks, what can be the second of a pair, and what does not come back from its decomposition.
  static std::vector<uint8_t> MakeActive() {
    std::vector<uint8_t> active = MakeClasses();
    for (const NfcDecomposition& row : NfcDecompositions()) active[row.code_point] = 1;
    for (const NfcComposition& row : NfcCompositions()) active[row.composed] = 0;
    for (const NfcComposition& row : NfcCompositions()) active[row.second] = 1;
    for (uint32_t c = hangul::kVowel; hangul::IsVowel(c); ++c) active[c] = 1;
    for (uint32_t c = hangul::kTail + 1; hangul::IsTail(c); ++c) active[c] = 1;
    for (uint8_t& value : active) value = value != 0;
    return active;
  }

  CodePointTable classes_, active_;
  std::unordered_map<uint32_t, std::array<uint32_t, 4>> decompositions_;
  std::unordered_map<uint64_t, uint32_t> compositions_;
};

// Takes decomposed characters and puts out composed ones.
class Composer {
 public:
  explicit Composer(size_t expected) { out_.reserve(expected); }

  // In canonical order.
  void Push(NfcChar c, uint8_t combining_class) {
    if (!starter_) {
      if (combining_class != 0) return out_.push_back(c);
      starter_ = c;
      return;
    }
    // A mark is blocked from the starter by one of its own class or a higher one between them.
    const bool blocked = !marks_.empty() && last_class_ >= combining_class;
    const uint32_t composed = blocked ? 0 : Tables::Get().Compose(starter_->code_point, c.code_point);
    if (composed != 0) {
      starter_ = {composed, starter_->change + c.change - 1};
    } else if (combining_class == 0) {
      Release();
      starter_ = c;
    } else {
      marks_.push_back(c);
      last_class_ = combining_class;
    }
  }

  std::vector<NfcChar> Finish() {
    if (starter_) Release();
    return std::move(out_);
  }

 private:
  void Release() {
    out_.push_back(*starter_);
    out_.insert(out_.end(), marks_.begin(), marks_.end());
    marks_.clear();
  }

  std::optional<NfcChar> starter_;
  std::vector<NfcChar> marks_;  // behind the starter, not composed with it
  uint8_t last_class_ = 0;      // of the last of them
  std::vector<NfcChar> out_;
};

}  // namespace

bool IsPlainlyNfc(std::string_view text) {
  const Tables& tables = Tables::Get();
  for (size_t offset = 0; offset < text.size();) {
    // Below U+0300 nothing is active; its characters begin with bytes below 0xCC.
    if (static_cast<uint8_t>(text[offset]) < 0xCC) {
      ++offset;
      continue;
    }
    const DecodedChar c = DecodeChar(text.substr(offset));
    if (!tables.Inert(c.code_point)) return false;
    offset += static_cast<size_t>(c.length);
  }
  return true;
}

std::vector<NfcChar> ComposeNfc(std::string_view text) {
  struct Mark {
    NfcChar c;
    uint8_t combining_class;
  };
  const Tables& tables = Tables::Get();
  Composer composer(text.size());
  std::vector<Mark> marks;  // since the last starter
  const auto flush = [&] {
    std::stable_sort(marks.begin(), marks.end(),
                     [](const Mark& a, const Mark& b) { return a.combining_class < b.combining_class; });
    for (const Mark& mark : marks) composer.Push(mark.c, mark.combining_class);
    marks.clear();
  };
  for (size_t offset = 0; offset < text.size();) {
    const DecodedChar whole = DecodeChar(text.substr(offset));
    offset += static_cast<size_t>(whole.length);
    int32_t change = 0;
    tables.Decompose(whole.code_point, [&](uint32_t part) {
      const NfcChar c{part, change};
      change = 1;
      const uint8_t combining_class = tables.Class(part);
      if (combining_class != 0) {
        marks.push_back({c, combining_class});
      } else {
        flush();
        composer.Push(c, 0);
      }
    });
  }
  flush();
  return composer.Finish();
}

}  // namespace nla
