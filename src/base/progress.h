// Progress on stderr for long work: done/total, rate, time left. Redraws one line on a terminal, prints a line every
// few seconds elsewhere, and nothing when quiet.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace nla {

// "12s", "3m05s", "4h53m", "6d20h".
std::string DurationText(double seconds);
// "3.5/s"; below one a second the time of each: "54 s/step", "3m20s/step". `unit` is plural.
std::string RateText(double per_second, const std::string& unit);

class Progress {
 public:
  // `unit` is plural ("tokens"); total 0 means unknown.
  Progress(std::string label, std::string unit, int64_t total);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `note` is a short suffix such as "loss 2.31".
  void Update(int64_t done, const std::string& note = "");
  // The same without a line.
  void Count(int64_t done) { done_ = done; }
  // Work done by an earlier run: counted as done, left out of the rate.
  void StartAt(int64_t done);
  double seconds() const;
  double rate() const;  // units per second since the start of this run

 private:
  std::string label_, unit_;
  int64_t total_, start_ = 0, done_ = 0;
  Clock::time_point begun_, drawn_;
  bool terminal_ = false, open_line_ = false;
};

}  // namespace nla
