// Every change of the screen is one write: up to the first line, clear from there, the new lines.
#include "base/live_block.h"

#include <fmt/format.h>
#include <spdlog/sinks/sink.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>

namespace nla {
namespace {

constexpr std::chrono::seconds kTick{1};

std::atomic<bool> g_allowed = false;
std::atomic<bool> g_shown = false;

// Takes the block out of the way of another sink's lines.
class AboveSink final : public spdlog::sinks::sink {
 public:
  AboveSink(LiveBlock& block, spdlog::sink_ptr inner) : block_(block), inner_(std::move(inner)) {
    set_level(inner_->level());
  }
  void log(const spdlog::details::log_msg& message) override {
    block_.Above([&] { inner_->log(message); });
  }
  void flush() override { inner_->flush(); }
  void set_pattern(const std::string& pattern) override { inner_->set_pattern(pattern); }
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
    inner_->set_formatter(std::move(formatter));
  }

 private:
  LiveBlock& block_;
  spdlog::sink_ptr inner_;
};

void Write(const std::string& text) {
  std::fputs(text.c_str(), stderr);  // work goes on when nobody can be told of it
  std::fflush(stderr);
}

}  // namespace

void AllowLiveBlocks() { g_allowed = true; }

bool LiveBlockWanted() { return g_allowed && spdlog::get_level() == spdlog::level::info && ErrorTerminal(); }

bool LiveBlockShown() { return g_shown; }

LiveBlock::LiveBlock(Draw draw) : draw_(std::move(draw)) {
  g_shown = true;
  std::vector<spdlog::sink_ptr>& sinks = spdlog::default_logger()->sinks();
  sinks_ = sinks;
  for (spdlog::sink_ptr& sink : sinks) sink = std::make_shared<AboveSink>(*this, sink);
  Redraw();
  ticker_ = std::jthread([this] {
    std::unique_lock lock(mutex_);
    while (!end_.wait_for(lock, kTick, [this] { return ended_; })) Show(Erased());
  });
}

LiveBlock::~LiveBlock() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    Show(Erased());
  }
  end_.notify_all();
  ticker_.join();
  spdlog::default_logger()->sinks() = sinks_;
  g_shown = false;
}

void LiveBlock::Redraw() {
  const std::lock_guard lock(mutex_);
  Show(Erased());
}

void LiveBlock::Above(const std::function<void()>& write) {
  const std::lock_guard lock(mutex_);
  Write(Erased());
  write();
  std::fflush(stderr);
  Show("");
}

// A terminal that has become narrower since has wrapped the lines.
std::string LiveBlock::Erased() {
  if (drawn_.empty()) return "";
  const int columns = std::max(1, ErrorTerminal().value_or(TerminalSize{}).columns);
  int rows = 0;
  for (const int cells : drawn_) rows += std::max(1, (cells + columns - 1) / columns);
  drawn_.clear();
  return fmt::format("\r\x1b[{}A\x1b[J", rows);
}

void LiveBlock::Show(std::string before) {
  const TerminalSize size = ErrorTerminal().value_or(TerminalSize{});
  std::vector<std::string> lines = draw_(std::max(1, size.columns - 1));  // the last column would wrap
  // Lines that have left the screen cannot be reached again.
  lines.resize(std::min(lines.size(), static_cast<size_t>(std::max(1, size.rows - 1))));
  for (const std::string& line : lines) {
    before += line + "\n";
    drawn_.push_back(DisplayWidth(line));
  }
  Write(before);
}

}  // namespace nla
