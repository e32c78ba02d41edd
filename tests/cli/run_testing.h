// Runs the program under test and keeps what it printed.
#pragma once

#include <string>
#include <vector>

namespace nla {

struct RunResult {
  int code = -1;  // exit code; 128 + signal when a signal ended it
  std::string out;
  std::string err;
};

// Runs NLA_PROGRAM with these arguments, passed as they are.
RunResult RunNla(const std::vector<std::string>& arguments);
// Runs one line of shell.
RunResult RunShell(const std::string& line);
// The subcommands that --help lists.
std::vector<std::string> Commands();

}  // namespace nla
