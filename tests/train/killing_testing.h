// Running the program and killing it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace nla {

struct Ending {
  bool killed = false;
  int code = 0;
};

// Runs the program and kills it with SIGKILL as soon as `should_kill` says so, unless it ended before.
Ending RunProgram(const std::vector<std::string>& arguments, const std::function<bool()>& should_kill);

// Lines of a text file; 0 when it is not there.
int64_t Lines(const std::filesystem::path& path);

}  // namespace nla
