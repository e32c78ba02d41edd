// A regular expression that ends a reply, compiled; and looking for it in text that still grows. No type of PCRE2
// crosses this header.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace nla {

class StopPattern {
 public:
  // Errors (usage): a pattern that PCRE2 refuses, with its reason; one that is too long. `where` names it.
  StopPattern(std::string pattern, const std::string& where);
  StopPattern(const StopPattern&) = delete;
  StopPattern& operator=(const StopPattern&) = delete;
  ~StopPattern();

  const std::string& text() const { return pattern_; }

  enum class Verdict {
    kAbsent,   // no match
    kMatched,  // from `begin` to `end`
    kBegun,    // what begins at `begin` may become a match when more text comes
    kTooHard,  // looking took more steps than are allowed
  };
  struct Found {
    Verdict verdict = Verdict::kAbsent;
    size_t begin = 0, end = 0;  // bytes of the text
  };
  // The first match that begins at text[first] or later; what stands before is seen by lookbehinds. Text is UTF-8.
  // Thread-safe.
  Found Search(std::string_view text, size_t first) const;

 private:
  struct Compiled;
  std::string pattern_;
  std::unique_ptr<Compiled> compiled_;
};

inline constexpr size_t kMostStopPatterns = 16;               // of one reply
inline constexpr size_t kLongestStopPattern = 512;            // bytes
inline constexpr size_t kLongestStopMatch = size_t{4} << 10;  // bytes of a reply that are held back for a match

}  // namespace nla
