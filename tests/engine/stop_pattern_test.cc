// Patterns by themselves: what is refused, what is found, and what looking for it may cost.
#include "engine/stop_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "nla/error.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Verdict = StopPattern::Verdict;

std::string Refusal(const std::string& pattern) {
  try {
    const StopPattern compiled(pattern, "stop_regex");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

TEST(StopPatternTest, RefusesWhatIsNoPattern) {
  EXPECT_THAT(Refusal("a("), AllOf(HasSubstr("stop_regex: is not a pattern: missing closing parenthesis"),
                                   HasSubstr("at byte 2"), HasSubstr("found a(")));
  for (const char* pattern : {"", "[", "*", "(?<n", "\\C", "a{3,1}", "(?<=a*)b", "\xff"}) {
    EXPECT_NE(Refusal(pattern), "") << pattern;
  }
  EXPECT_NE(Refusal("((((((((((a{1,60000}){1,60000}){1,60000}){1,60000}){1,60000}){1,60000}))))"), "");
  EXPECT_NE(Refusal(std::string(kLongestStopPattern + 1, 'a')), "");
  EXPECT_EQ(Refusal(std::string(kLongestStopPattern, 'a')), "");
  EXPECT_NE(Refusal(std::string(300, '(') + std::string(200, ')')), "");
}

TEST(StopPatternTest, FindsTheFirstMatchOrItsBeginning) {
  const StopPattern pattern("ab+c", "");
  EXPECT_EQ(pattern.Search("xyz", 0).verdict, Verdict::kAbsent);
  StopPattern::Found found = pattern.Search("xabbcabc", 0);
  EXPECT_EQ(found.verdict, Verdict::kMatched);
  EXPECT_EQ(found.begin, 1U);
  EXPECT_EQ(found.end, 5U);
  found = pattern.Search("xabbcabc", 2);
  EXPECT_EQ(found.begin, 5U);
  found = pattern.Search("xabcyab", 4);
  EXPECT_EQ(found.verdict, Verdict::kBegun);
  EXPECT_EQ(found.begin, 5U);
  EXPECT_EQ(pattern.Search("", 0).verdict, Verdict::kAbsent);
}

TEST(StopPatternTest, NoTextIsLookedAtForLong) {
  const std::string text(2 * kLongestStopMatch, 'a');
  for (const char* pattern : {"(a+)+b", "(a|aa)+$b", "(?s).*.*.*.*b", "(.*)*\\1b", "(?R)?a+b", "(a*)*(a*)*(a*)*b"}) {
    const StopPattern hard(pattern, "");
    const Clock::time_point begun = Clock::now();
    EXPECT_EQ(hard.Search(text, 0).verdict, Verdict::kTooHard) << pattern;
    EXPECT_LT(SecondsSince(begun), 2) << pattern;  // milliseconds on a machine without other work
  }
}

}  // namespace
}  // namespace nla
