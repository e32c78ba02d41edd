// From the bytes that were tokenised back to the bytes of the text as it came: through repair, normalisation, and the
// rule that offsets lie between characters.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/normalizer.h"
#include "text/tokenizer.h"

namespace nla {

// Text whose invalid UTF-8 was replaced by U+FFFD.
class RepairedText {
 public:
  // Borrows `text` where it needs no repair.
  explicit RepairedText(std::string_view text);
  RepairedText(const RepairedText&) = delete;
  RepairedText& operator=(const RepairedText&) = delete;

  std::string_view text() const { return text_; }
  // `range` of text(), between characters, in the text as it came.
  ByteRange InOriginal(ByteRange range) const { return {Original(range.begin), Original(range.end)}; }

 private:
  struct Anchor {
    size_t repaired, original;  // offsets behind one replacement
  };
  size_t Original(size_t offset) const;

  std::string storage_;
  std::string_view text_;
  std::vector<Anchor> anchors_;
};

// The part of a text that `normalized` was made of, which began at `base`; `origins` is empty where nothing changed.
class NormalizedOffsets {
 public:
  NormalizedOffsets(std::string_view normalized, const ByteOrigins& origins, size_t base)
      : normalized_(normalized), origins_(origins), base_(base) {}
  // Whole characters of the text for `range`, not empty, of the normalised part.
  ByteRange Widen(ByteRange range) const;

 private:
  std::string_view normalized_;
  const ByteOrigins& origins_;
  size_t base_;
};

// `range` of valid UTF-8 `text` without so many characters at its beginning and its end.
ByteRange WithoutEnds(std::string_view text, ByteRange range, size_t leading, size_t trailing);

}  // namespace nla
