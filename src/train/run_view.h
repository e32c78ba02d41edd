// A training run as some lines of text for a terminal: how far it is, curves, the last reply. A pure function of what
// is known and of the width.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace nla {

struct RunView {
  struct Curve {
    std::string name;
    std::vector<double> values;  // oldest first
  };
  std::string label;  // "rl"
  int64_t done = 0, total = 0;
  double seconds_a_step = 0;  // 0: not known yet
  double in_step = 0;         // seconds since the last step ended
  std::vector<Curve> curves;
  std::vector<std::pair<std::string, double>> seconds;  // what the last step's time went into
  std::string sample;                                   // a reply; empty: none
  double sample_reward = 0;
};

// No line is wider than `width` cells. Without `utf8` all of it is ASCII.
std::vector<std::string> RenderRun(const RunView& view, int width, bool utf8);

}  // namespace nla
