// Runs commands through the shell with stderr kept apart in a temporary file.
#include "cli/run_testing.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace nla {
namespace {

std::string Quoted(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

RunResult RunShell(const std::string& line) {
  std::string err_name = (std::filesystem::temp_directory_path() / "nla_stderr_XXXXXX").string();
  const int fd = mkstemp(err_name.data());
  if (fd < 0) throw std::runtime_error("mkstemp " + err_name);
  close(fd);
  FILE* pipe = popen(("{ " + line + "; } 2>" + err_name).c_str(), "r");
  RunResult result;
  std::array<char, 65536> buffer;
  for (size_t count = 0; (count = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    result.out.append(buffer.data(), count);
  }
  const int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  std::ostringstream err;
  err << std::ifstream(err_name, std::ios::binary).rdbuf();
  result.err = err.str();
  std::filesystem::remove(err_name);
  return result;
}

RunResult RunNla(const std::vector<std::string>& arguments) {
  std::string line = NLA_PROGRAM;
  for (const std::string& argument : arguments) line += " " + Quoted(argument);
  return RunShell(line);
}

std::vector<std::string> Commands() {
  std::vector<std::string> commands;
  std::istringstream help(RunNla({"--help"}).out);
  bool in_group = false;
  for (std::string line; std::getline(help, line);) {
    if (line.ends_with(':')) in_group = line != "Options:";
    if (line.empty()) in_group = false;
    if (in_group && line.starts_with("  ") && line[2] != ' ') commands.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return commands;
}

}  // namespace nla
