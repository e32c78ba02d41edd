// The program as a child process.
#include "train/killing_testing.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <thread>

namespace nla {
namespace {

// Lines of a text file; 0 when it is not there.
int64_t Lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
}

}  // namespace

Ending RunProgram(const std::vector<std::string>& arguments, const std::function<bool()>& should_kill) {
  std::vector<char*> argv = {const_cast<char*>(NLA_PROGRAM)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    execv(NLA_PROGRAM, argv.data());
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (should_kill()) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return {.killed = WIFSIGNALED(status), .code = 0};
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return {.killed = false, .code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
}

KilledRuns RunWithKills(const std::filesystem::path& run, const std::string& begun, const KillPlan& plan,
                        const std::function<std::vector<std::string>(bool resume)>& arguments) {
  using Clock = std::chrono::steady_clock;
  std::mt19937 random(plan.seed);
  const std::filesystem::path metrics = run / "metrics.jsonl";
  int kills = 0;
  Ending ending{.killed = true, .code = 0};
  while (ending.killed) {
    const int64_t last_line = Lines(metrics) + static_cast<int64_t>(random() % plan.lines) - plan.lines_before;
    const auto delay = std::chrono::microseconds(random() % plan.delay.count());
    const auto soon = Clock::now() + std::chrono::milliseconds(random() % plan.start.count());
    std::optional<Clock::time_point> reached;
    ending = RunProgram(arguments(std::filesystem::exists(run / begun)), [&] {
      const auto now = Clock::now();
      if (kills >= plan.kills) return false;
      if (kills % 4 == 3) return now >= soon;
      if (!reached && Lines(metrics) >= last_line) reached = now;
      return reached && now >= *reached + delay;
    });
    kills += ending.killed ? 1 : 0;
  }
  return {.kills = kills, .code = ending.code};
}

}  // namespace nla
