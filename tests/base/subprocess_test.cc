// Other programs: what they print, how they end, and what happens when they cannot start.
#include "base/subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "base/error_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;

ProcessResult Shell(const std::string& line) { return RunProcess({"sh", "-c", line}); }

TEST(SubprocessTest, KeepsTheOutputAndTheExitCode) {
  const ProcessResult done = RunProcess({"printf", "%s|%s", "a b", "$c"});  // arguments are passed as they are
  EXPECT_EQ(done.exit_code, 0);
  EXPECT_EQ(done.output, "a b|$c");
  EXPECT_EQ(Shell("echo before; exit 7").exit_code, 7);
  EXPECT_EQ(Shell("echo before; exit 7").output, "before\n");
  EXPECT_EQ(Shell("true").output, "");
}

TEST(SubprocessTest, LeavesStandardErrorAlone) {
  testing::internal::CaptureStderr();
  const ProcessResult both = Shell("echo here; echo there >&2");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "there\n");
  EXPECT_EQ(both.output, "here\n");
}

TEST(SubprocessTest, TellsASignal) {
  const ProcessResult killed = Shell("echo first; kill -TERM $$; echo never");
  EXPECT_EQ(killed.exit_code, 128 + SIGTERM);
  EXPECT_EQ(killed.output, "first\n");
  EXPECT_EQ(Shell("kill -KILL $$").exit_code, 128 + SIGKILL);
}

TEST(SubprocessTest, TakesMoreOutputThanAPipeHolds) {
  const ProcessResult much = Shell("head -c 3000000 /dev/zero | tr '\\0' x");
  EXPECT_EQ(much.output, std::string(3000000, 'x'));
}

TEST(SubprocessTest, KeepsZeroBytes) { EXPECT_EQ(Shell("printf 'a\\0b'").output, std::string("a\0b", 3)); }

TEST(SubprocessTest, MeasuresTimeAndMemory) {
  const ProcessResult slept = RunProcess({"sleep", "0.2"});
  EXPECT_GE(slept.seconds, 0.2);
  EXPECT_GT(slept.peak_rss_mb, 0.1);
  EXPECT_LT(slept.peak_rss_mb, 1000);
}

TEST(SubprocessTest, NamesAProgramThatCannotStart) {
  EXPECT_THAT(Refusal([] {
                RunProcess({"/no/such/program", "x"});
              }),
              AllOf(HasSubstr("/no/such/program: cannot be started"), HasSubstr("No such file")));
  EXPECT_THAT(Refusal([] { RunProcess({"no_such_program_in_path"}); }),
              HasSubstr("no_such_program_in_path: cannot be"));
  EXPECT_THAT(Refusal([] { RunProcess({"/dev/null"}); }), HasSubstr("Permission denied"));
}

}  // namespace
}  // namespace nla
