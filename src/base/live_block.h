// Some lines at the bottom of the terminal that are drawn again in place while log lines scroll above them. What the
// lines say is the caller's.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/terminal.h"

namespace nla {

// A command that wants none (--json, say) leaves this out: without it no block is ever wanted.
void AllowLiveBlocks();
// Allowed, at level info, and stderr is a terminal that can move its cursor.
bool LiveBlockWanted();
// Whether one is there now: what else would draw on the terminal then does not.
bool LiveBlockShown();

// One at a time. The cursor rests below the block and nothing of the terminal is switched, so that a process that is
// killed leaves nothing to put right.
class LiveBlock {
 public:
  // Lines for a width, none of them wider. Called by a thread of the block's, once a second, and by Redraw's.
  using Draw = std::function<std::vector<std::string>(int width)>;
  explicit LiveBlock(Draw draw);
  ~LiveBlock();  // leaves the lines where they are, as they are then
  LiveBlock(const LiveBlock&) = delete;
  LiveBlock& operator=(const LiveBlock&) = delete;

  void Redraw();
  // Runs what writes to stderr, with the block out of its way.
  void Above(const std::function<void()>& write);

 private:
  std::string Erased();  // the sequence that takes the block away
  void Show(std::string before);

  Draw draw_;
  std::vector<spdlog::sink_ptr> sinks_;  // the logger's own, for the end
  std::mutex mutex_;                     // of all below
  std::vector<int> drawn_;               // cells of each line on the screen
  bool ended_ = false;
  std::condition_variable end_;
  std::jthread ticker_;
};

}  // namespace nla
