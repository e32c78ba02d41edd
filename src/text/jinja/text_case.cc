// Upper, lower and title case of marked strings, as Python's str has them.
#include <algorithm>

#include "text/jinja/character.h"
#include "text/jinja/text.h"

namespace nla::jinja {
namespace {

constexpr char32_t kSigma = 0x3A3;
constexpr char32_t kFinalSigma = 0x3C2;

bool Cased(const Text& text, size_t i) { return IsChar(text[i], kPyCased); }
bool Ignorable(const Text& text, size_t i) { return IsChar(text[i], kPyCaseIgnorable); }

// A sigma is final when a cased character stands before it and none behind it, case-ignorable ones left aside.
bool IsFinalSigma(const Text& text, size_t i) {
  size_t before = i;
  while (before > 0 && Ignorable(text, before - 1)) --before;
  if (before == 0 || !Cased(text, before - 1)) return false;
  size_t behind = i + 1;
  while (behind < text.size() && Ignorable(text, behind)) ++behind;
  return behind == text.size() || !Cased(text, behind);
}

void AppendLower(const Text& text, size_t i, Text& made) {
  if (text[i] == kSigma) {
    made.Push(IsFinalSigma(text, i) ? kFinalSigma : 0x3C3, text.OriginAt(i));
    return;
  }
  for (const char32_t c : LowerOf(text[i])) made.Push(c, text.OriginAt(i));
}

}  // namespace

Text UpperText(const Text& text) {
  Text made;
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char32_t c : UpperOf(text[i])) made.Push(c, text.OriginAt(i));
  }
  return made;
}

Text LowerText(const Text& text) {
  Text made;
  for (size_t i = 0; i < text.size(); ++i) AppendLower(text, i, made);
  return made;
}

Text TitleText(const Text& text) {
  Text made;
  bool inside = false;  // of a word
  for (size_t i = 0; i < text.size(); ++i) {
    if (inside) {
      AppendLower(text, i, made);
    } else {
      for (const char32_t c : TitleOf(text[i])) made.Push(c, text.OriginAt(i));
    }
    inside = Cased(text, i);
  }
  return made;
}

Text CapitalizeText(const Text& text) {
  Text made;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i > 0) {
      AppendLower(text, i, made);
    } else {
      for (const char32_t c : TitleOf(text[i])) made.Push(c, text.OriginAt(i));
    }
  }
  return made;
}

}  // namespace nla::jinja
