// The program as a child process.
#include "train/killing_testing.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

namespace nla {

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

int64_t Lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
}

}  // namespace nla
