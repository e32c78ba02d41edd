// `nla train rl` as a program on a pseudo terminal: its block, to the end and to Ctrl-C.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "base/file.h"
#include "train/rl_testing.h"

namespace nla {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kUp = "\x1b[";

class RlDisplay : public testing::Test {
 protected:
  // What comes out of the program with these words after the recipe; each piece may be looked at while it runs.
  std::string Run(const std::vector<std::string>& more, const std::function<void(pid_t, const std::string&)>& look) {
    const std::string recipe = (rl_ / "recipe.yaml").string();
    WriteFileAtomically(recipe, rl_.Recipe("run"));
    std::vector<std::string> words = {"nla", "train", "rl", recipe};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    int terminal = -1;
    const pid_t process = forkpty(&terminal, nullptr, nullptr, &size);
    if (process == 0) {
      setenv("TERM", "xterm", 1);
      setenv("LC_ALL", "C.UTF-8", 1);
      execv(NLA_PROGRAM, arguments.data());
      _exit(127);
    }
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0; (got = read(terminal, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(got));
      if (look) look(process, text);
    }
    int status = 0;
    waitpid(process, &status, 0);
    close(terminal);
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return text;
  }

  TinyRl rl_;
  int exit_code_ = -1;
};

TEST_F(RlDisplay, IsABlockBelowTheLog) {
  const std::string text = Run({}, nullptr);
  EXPECT_EQ(exit_code_, 0) << text;
  for (const char* words :
       {"rl ████", " 10/10 steps, ", "held-out FVE ", "last step: rollout ", "<explanation>", "held out: FVE ", kUp}) {
    EXPECT_THAT(text, HasSubstr(words));
  }
  EXPECT_THAT(text, Not(HasSubstr("rl: ")));  // the line of Progress
  // The block stands once after its last move, and the result below it.
  const std::string last = text.substr(text.rfind("\x1b[J"));
  EXPECT_LT(last.find("10/10 steps"), last.find("held out: fve_raw_variance"));
}

TEST_F(RlDisplay, EndsCleanlyWhereTheRunIsInterrupted) {
  bool told = false;
  const std::string text = Run({"--set", "train_rl.steps=1000"}, [&](pid_t process, const std::string& so_far) {
    if (told || so_far.find(" 2/1000 steps") == std::string::npos) return;
    told = true;
    kill(process, SIGINT);
  });
  EXPECT_EQ(exit_code_, 1) << text;
  const std::string last = text.substr(text.rfind("\x1b[J"));
  EXPECT_LT(last.find("/1000 steps"), last.find("nla: interrupted after step"));
}

TEST_F(RlDisplay, IsNotThereWithJson) {
  const std::string text = Run({"--json", "--set", "train_rl.steps=2"}, nullptr);
  EXPECT_EQ(exit_code_, 0) << text;
  EXPECT_THAT(text, HasSubstr("rl: "));
  EXPECT_THAT(text, Not(HasSubstr("\x1b[J")));
}

}  // namespace
}  // namespace nla
