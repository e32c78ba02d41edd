// SIGINT and SIGTERM: the first sets a flag, the second restores the default action and raises it again.
#include "base/interrupt.h"

#include <csignal>

#include "base/fail.h"

namespace nla {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

// SA_RESETHAND has put the default action back by the time this runs, so a second signal ends the process.
void OnSignal(int /*signal*/) { g_interrupted = 1; }

}  // namespace

void InstallInterruptHandler() {
  struct sigaction action {};
  action.sa_handler = &OnSignal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool Interrupted() { return g_interrupted != 0; }

void ThrowIfInterrupted() {
  if (Interrupted()) {
    Fail({.where = "interrupted",
          .what = "stopped at a safe point; what was finished is on disk",
          .mend = "Run the same command again to go on"});
  }
}

}  // namespace nla
