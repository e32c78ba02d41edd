// Running the program and killing it.
#pragma once

#include <chrono>
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

// When a run is killed: near the line of its metrics.jsonl where it was killed last, from `lines_before` before it to
// less than `lines` further, and up to `delay` later, so that a kill can fall anywhere between two lines; every fourth
// kill within `start` of the start instead.
struct KillPlan {
  int kills = 0;
  unsigned seed = 0;
  int64_t lines = 0;
  int64_t lines_before = 0;
  std::chrono::microseconds delay = {};
  std::chrono::milliseconds start = {};
};

struct KilledRuns {
  int kills = 0;
  int code = 0;  // of the last run, which was left alone
};

// Runs the program in `run`, killed and resumed by the plan, until it ends by itself. `arguments(resume)` is its
// command line; it resumes as soon as the file `begun` is there.
KilledRuns RunWithKills(const std::filesystem::path& run, const std::string& begun, const KillPlan& plan,
                        const std::function<std::vector<std::string>(bool resume)>& arguments);

}  // namespace nla
