// posix_spawn with a pipe on standard output.
#include "base/subprocess.h"

#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "base/clock.h"
#include "base/fail.h"
#include "base/interrupt.h"

extern char** environ;

namespace nla {
namespace {

constexpr int kPollMilliseconds = 200;

// All that comes out of a pipe. An interruption goes on to the process at its other end, which may still finish what it
// is at.
std::string ReadToEnd(int pipe_end, pid_t process) {
  std::string output;
  std::array<char, 65536> buffer{};
  bool handed_on = false;
  while (true) {
    if (Interrupted() && !handed_on) {
      kill(process, SIGINT);
      handed_on = true;
    }
    pollfd waiting{.fd = pipe_end, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, kPollMilliseconds) <= 0) continue;
    const ssize_t n = read(pipe_end, buffer.data(), buffer.size());
    if (n > 0) {
      output.append(buffer.data(), static_cast<size_t>(n));
    } else if (n == 0 || errno != EINTR) {
      return output;
    }
  }
}

}  // namespace

ProcessResult RunProcess(const std::vector<std::string>& arguments) {
  NLA_CHECK(!arguments.empty());
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::array<int, 2> pipe_ends{};
  if (pipe(pipe_ends.data()) != 0) Fail({.where = arguments[0], .what = "no pipe", .found = std::strerror(errno)});
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, pipe_ends[0]);
  posix_spawn_file_actions_addclose(&actions, pipe_ends[1]);
  // A group of its own: Ctrl-C on a terminal reaches this process alone, which hands it on once.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  const Clock::time_point begun = Clock::now();
  pid_t child = 0;
  const int error = posix_spawnp(&child, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(pipe_ends[1]);
  if (error != 0) {
    close(pipe_ends[0]);
    Fail({.where = arguments[0], .what = "cannot be started", .found = std::strerror(error)});
  }
  ProcessResult result;
  result.output = ReadToEnd(pipe_ends[0], child);
  close(pipe_ends[0]);
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  result.seconds = SecondsSince(begun);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.peak_rss_mb = static_cast<double>(usage.ru_maxrss) / 1024;
  return result;
}

std::string ThisProgram() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

}  // namespace nla
