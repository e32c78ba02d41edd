// Draws a progress line on stderr: redrawn in place on a terminal, one line every ten seconds elsewhere.
#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/live_block.h"
#include "base/log.h"

namespace nla {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kLineSeconds = 10.0;

std::string CountText(double count) {
  if (count >= 1e9) return fmt::format("{:.2f}G", count / 1e9);
  if (count >= 1e6) return fmt::format("{:.2f}M", count / 1e6);
  if (count >= 1e4) return fmt::format("{:.1f}k", count / 1e3);
  return count >= 100 || count == static_cast<int64_t>(count) ? fmt::format("{:.0f}", count)
                                                              : fmt::format("{:.1f}", count);
}

std::string Singular(const std::string& unit) {
  if (unit.ends_with("ies")) return unit.substr(0, unit.size() - 3) + "y";
  return unit.ends_with("s") ? unit.substr(0, unit.size() - 1) : unit;
}

}  // namespace

std::string DurationText(double seconds) {
  const auto whole = std::llround(seconds);
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 48 * 3600) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  return fmt::format("{}d{:02}h", whole / 86400, whole / 3600 % 24);
}

std::string RateText(double per_second, const std::string& unit) {
  if (!(per_second > 0) || per_second >= 1) return CountText(std::max(0.0, per_second)) + "/s";
  const double each = 1 / per_second;
  const std::string text = each < 9.95   ? fmt::format("{:.1f} s", each)
                           : each < 99.5 ? fmt::format("{:.0f} s", each)
                                         : DurationText(each);
  return text + "/" + Singular(unit);
}

Progress::Progress(std::string label, std::string unit, int64_t total)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      begun_(Clock::now()),
      drawn_(begun_),
      terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (open_line_) std::fputc('\n', stderr);
}

void Progress::StartAt(int64_t done) {
  start_ = done;
  done_ = done;
  begun_ = Clock::now();
}

double Progress::seconds() const { return SecondsSince(begun_); }

double Progress::rate() const {
  const double elapsed = seconds();
  return elapsed > 0 ? static_cast<double>(done_ - start_) / elapsed : 0.0;
}

void Progress::Update(int64_t done, const std::string& note) {
  done_ = done;
  if (!ProgressWanted() || LiveBlockShown()) return;
  const bool last = total_ > 0 && done_ >= total_;
  if (!last && SecondsSince(drawn_) < (terminal_ ? kRedrawSeconds : kLineSeconds)) return;
  drawn_ = Clock::now();

  std::string line = label_ + ": " + CountText(static_cast<double>(done_));
  if (total_ > 0) line += "/" + CountText(static_cast<double>(total_));
  line += fmt::format(" {}, {}", unit_, RateText(rate(), unit_));
  if (total_ > 0 && rate() > 0) {
    line += last ? ", took " + DurationText(seconds())
                 : ", " + DurationText(static_cast<double>(total_ - done_) / rate()) + " left";
  }
  if (!note.empty()) line += ", " + note;

  if (terminal_) {
    line = "\r" + line + "\x1b[K";
    open_line_ = true;
  } else {
    line += "\n";
  }
  std::fputs(line.c_str(), stderr);  // work goes on when nobody can be told of it
  std::fflush(stderr);
}

}  // namespace nla
