// One function a part. What does not fit is left out from the right.
#include "train/run_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "base/progress.h"
#include "base/terminal.h"

namespace nla {
namespace {

constexpr int kLongestBar = 40;
constexpr int kLongestCurve = 60;
constexpr int kShortestCurve = 4;
constexpr int kTwoColumns = 120;  // cells from which curves stand side by side
constexpr int kGap = 3;           // between the columns
constexpr const char* kLevels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr const char* kAsciiLevels[] = {"_", ".", ",", "-", "=", "+", "*", "#"};
constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};

std::string Bar(double share, int cells, bool utf8) {
  const auto eighths = static_cast<int>(std::floor(std::clamp(share, 0.0, 1.0) * cells * 8));
  std::string bar;
  for (int i = 0; i < cells; ++i) {
    const int filled = eighths - 8 * i;
    if (!utf8) {
      bar += filled >= 8 ? "#" : ".";
    } else if (filled >= 8) {
      bar += "█";
    } else {
      bar += filled > 0 ? kEighths[filled] : "░";
    }
  }
  return bar;
}

std::string Head(const RunView& view, int width, bool utf8) {
  std::string text = fmt::format("{}/{} steps", view.done, view.total);
  std::vector<std::string> more;
  if (view.seconds_a_step > 0) {
    more.push_back(RateText(1 / view.seconds_a_step, "steps"));
    const double left = static_cast<double>(view.total - view.done) * view.seconds_a_step;
    if (view.done < view.total) more.push_back(DurationText(std::max(0.0, left - view.in_step)) + " left");
  }
  // Of a step that takes long enough to wonder.
  if (view.done < view.total && view.in_step >= 1) more.push_back("this one " + DurationText(view.in_step));
  for (const std::string& part : more) {
    const std::string longer = fmt::format("{}, {}", text, part);
    if (DisplayWidth(view.label) + 1 + DisplayWidth(longer) <= width) text = longer;
  }
  const int bar = std::min(kLongestBar, width - DisplayWidth(view.label) - DisplayWidth(text) - 2);
  const double share = view.total > 0 ? static_cast<double>(view.done) / static_cast<double>(view.total) : 0;
  const std::string between = bar >= kShortestCurve ? Bar(share, bar, utf8) + " " : "";
  return FitLine(view.label + " " + between + text, width, utf8);
}

// At most so many points: means of neighbours.
std::vector<double> Thinned(const std::vector<double>& values, size_t most) {
  if (values.size() <= most) return values;
  std::vector<double> thinned;
  for (size_t i = 0; i < most; ++i) {
    const size_t begin = i * values.size() / most;
    const size_t end = (i + 1) * values.size() / most;
    double sum = 0;
    for (size_t k = begin; k < end; ++k) sum += values[k];
    thinned.push_back(sum / static_cast<double>(end - begin));
  }
  return thinned;
}

std::string Sparkline(const std::vector<double>& values, int cells, bool utf8) {
  const std::vector<double> points = Thinned(values, static_cast<size_t>(cells));
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double point : points) {
    if (!std::isfinite(point)) continue;
    low = std::min(low, point);
    high = std::max(high, point);
  }
  std::string line;
  for (const double point : points) {
    if (!std::isfinite(point)) {
      line += " ";
      continue;
    }
    const int level = high > low ? static_cast<int>(std::lround((point - low) / (high - low) * 7)) : 3;
    line += (utf8 ? kLevels : kAsciiLevels)[level];
  }
  return line + std::string(static_cast<size_t>(cells) - points.size(), ' ');
}

// name, curve, last value: one row of a column. Names and values are lined up.
std::string CurveRow(const RunView::Curve& curve, int name_cells, int width, bool utf8) {
  const std::string value = fmt::format("{:>8.4g}", curve.values.back());
  const std::string name = FitLine(curve.name, std::max(0, std::min(name_cells, width - 9)), utf8);
  const int room = std::min(kLongestCurve, width - name_cells - 2 - static_cast<int>(value.size()));
  std::string row = name + std::string(static_cast<size_t>(std::max(0, name_cells - DisplayWidth(name))), ' ');
  if (room >= kShortestCurve) row += " " + Sparkline(curve.values, room, utf8);
  row += " " + value;
  if (DisplayWidth(row) > width) row = FitLine(name + " " + fmt::format("{:.4g}", curve.values.back()), width, utf8);
  return row;
}

void AppendCurves(const RunView& view, int width, bool utf8, std::vector<std::string>& lines) {
  std::vector<const RunView::Curve*> curves;
  int names = 0;
  for (const RunView::Curve& curve : view.curves) {
    if (curve.values.empty()) continue;
    curves.push_back(&curve);
    names = std::max(names, DisplayWidth(curve.name));
  }
  const size_t columns = width >= kTwoColumns ? 2 : 1;
  const int each = columns == 2 ? (width - kGap) / 2 : width;
  for (size_t i = 0; i < curves.size(); i += columns) {
    std::string line = CurveRow(*curves[i], names, each, utf8);
    if (columns == 2 && i + 1 < curves.size()) {
      line += std::string(kGap, ' ') + CurveRow(*curves[i + 1], names, each, utf8);
    }
    lines.push_back(std::move(line));
  }
}

}  // namespace

std::vector<std::string> RenderRun(const RunView& view, int width, bool utf8) {
  std::vector<std::string> lines = {Head(view, width, utf8)};
  AppendCurves(view, width, utf8, lines);
  std::string seconds;
  for (const auto& [what, each] : view.seconds) {
    seconds += fmt::format("{}{} {}", seconds.empty() ? "last step: " : ", ", what,
                           each < 10 ? fmt::format("{:.1f} s", each) : DurationText(each));
  }
  if (!seconds.empty()) lines.push_back(FitLine(seconds, width, utf8));
  if (!view.sample.empty()) {
    lines.push_back(FitLine(fmt::format("reply {:.3f}: {}", view.sample_reward, view.sample), width, utf8));
  }
  return lines;
}

}  // namespace nla
