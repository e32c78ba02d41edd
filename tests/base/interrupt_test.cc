// The first signal sets the flag; the second ends the process. Each case runs in a child of its own.
#include "base/interrupt.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>

#include "nla/error.h"

namespace nla {
namespace {

TEST(InterruptDeathTest, FirstSignalIsPolled) {
  const auto run = [] {
    InstallInterruptHandler();
    ThrowIfInterrupted();
    if (Interrupted()) std::_Exit(3);
    raise(SIGINT);
    if (!Interrupted()) std::_Exit(4);
    try {
      ThrowIfInterrupted();
    } catch (const Error& error) {
      std::_Exit(error.exit_code() == 1 ? 0 : 5);
    }
    std::_Exit(6);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

TEST(InterruptDeathTest, SecondSignalEndsAtOnce) {
  const auto run = [] {
    InstallInterruptHandler();
    raise(SIGINT);
    raise(SIGINT);
    std::_Exit(0);
  };
  EXPECT_EXIT(run(), testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace nla
