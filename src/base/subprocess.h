// Runs another program to its end: its standard output, exit code, time and peak memory.
#pragma once

#include <string>
#include <vector>

namespace nla {

struct ProcessResult {
  int exit_code = 0;       // 128 + signal when a signal ended it
  std::string output;      // standard output; standard error goes where ours goes
  double seconds = 0;      // wall time
  double peak_rss_mb = 0;  // of the process itself
};

// `arguments[0]` is the program (looked up in PATH). Errors name it when it cannot be started. SIGINT or SIGTERM to
// this process is handed on to it, as SIGINT.
ProcessResult RunProcess(const std::vector<std::string>& arguments);

// The path of the running program.
std::string ThisProgram();

}  // namespace nla
