// What a training run shows of itself on stderr: a block that is drawn again in place where a terminal takes one
// (live_block.h), else the line of Progress. Runs say all they know, and do not ask which.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/live_block.h"
#include "base/progress.h"
#include "train/run_view.h"

namespace nla {

class RunDisplay {
 public:
  // Curves stand in this order; one that gets no point is not shown.
  RunDisplay(const std::string& label, int64_t total, const std::vector<std::string>& curves);
  RunDisplay(const RunDisplay&) = delete;
  RunDisplay& operator=(const RunDisplay&) = delete;

  // From here on it is seen: the steps of an earlier run are done. Not called, nothing shows.
  void Begin(int64_t done);
  // The next point of one of the curves; also before Begin, from what an earlier run did.
  void AddPoint(const std::string& curve, double value);
  // For the block alone.
  void SetSeconds(const std::string& what, double seconds);
  void SetSample(const std::string& text, double reward);
  // A step is done. `note` is for the line.
  void Update(int64_t done, const std::string& note);

 private:
  std::vector<std::string> Draw(int width);

  Progress progress_;
  std::mutex mutex_;  // of the view and the clock
  RunView view_;
  Clock::time_point step_ended_ = Clock::now();
  Clock::time_point drawn_ = {};  // by Update
  bool utf8_ = false;
  std::unique_ptr<LiveBlock> block_;  // the last: its thread draws what stands above
};

}  // namespace nla
