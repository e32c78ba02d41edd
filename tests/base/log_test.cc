// Log levels, and progress lines off a terminal.
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/progress.h"
#include "nla/error.h"

namespace nla {
namespace {

using testing::HasSubstr;
using testing::internal::CaptureStderr;
using testing::internal::GetCapturedStderr;

TEST(Log, TakesTheKnownLevelsOnly) {
  for (const char* level : {"debug", "info", "warn", "error", "off"}) SetUpLogging(level);
  for (const char* level : {"", "INFO", "verbose", "trace", "critical", "warning"}) {
    EXPECT_THROW(SetUpLogging(level), Error) << level;
  }
  SetUpLogging("info");
}

TEST(Progress, PrintsTheEndWithRateAndNote) {
  SetUpLogging("info");
  CaptureStderr();
  {
    Progress progress("extract", "tokens", 1000);
    progress.StartAt(500);
    progress.Update(600);  // too soon after the start for a line
    progress.Update(1000, "loss 2.31");
    EXPECT_GT(progress.rate(), 0.0);
    EXPECT_LT(progress.rate(), 500 / progress.seconds());
  }
  const std::string text = GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("extract: 1000/1000 tokens, "));
  EXPECT_THAT(text, HasSubstr("took "));
  EXPECT_THAT(text, HasSubstr(", loss 2.31\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Progress, TellsTheTimeOfEachWhereThatIsMoreThanASecond) {
  EXPECT_EQ(RateText(0, "steps"), "0/s");
  EXPECT_EQ(RateText(12345, "tokens"), "12.3k/s");
  EXPECT_EQ(RateText(1, "steps"), "1/s");
  EXPECT_EQ(RateText(0.8, "replies"), "1.2 s/reply");
  EXPECT_EQ(RateText(1.0 / 54, "steps"), "54 s/step");
  EXPECT_EQ(RateText(1.0 / 200, "MB"), "3m20s/MB");
}

TEST(Progress, IsSilentWhenQuiet) {
  SetUpLogging("warn");
  CaptureStderr();
  { Progress("extract", "tokens", 10).Update(10); }
  EXPECT_EQ(GetCapturedStderr(), "");
  SetUpLogging("info");
}

}  // namespace
}  // namespace nla
