// Starting and ending the program.
#include "serve/program_testing.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <stdexcept>

namespace nla::serve {

ServeProcess::ServeProcess(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {NLA_PROGRAM, "serve"});
  arguments.insert(arguments.end(), {"--port", "0", "--json", "--log-level", "warn"});
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  process_ = fork();
  if (process_ == 0) {
    dup2(out[1], STDOUT_FILENO);
    execv(words[0], words.data());
    _exit(127);
  }
  close(out[1]);
  FILE* answer = fdopen(out[0], "r");
  std::string line(4096, '\0');
  const char* read = std::fgets(line.data(), static_cast<int>(line.size()), answer);
  std::fclose(answer);
  if (read == nullptr) throw std::runtime_error("the server did not start");
  ready_ = nlohmann::json::parse(line.c_str());
}

ServeProcess::~ServeProcess() {
  if (process_ < 0) return;
  Signal(SIGKILL);
  Wait();
}

void ServeProcess::Signal(int signal) const { kill(process_, signal); }

int ServeProcess::Wait() {
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) continue;
  process_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace nla::serve
