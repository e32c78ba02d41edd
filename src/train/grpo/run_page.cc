// Curves as inline SVG, so that the page needs nothing else.
#include "train/grpo/run_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace nla {
namespace {

using nlohmann::ordered_json;

constexpr double kWidth = 420;
constexpr double kHeight = 180;
constexpr double kLeft = 56;  // for the numbers of the axis
constexpr double kRight = 8;
constexpr double kTop = 8;
constexpr double kBottom = 22;
constexpr const char* kColors[] = {"#1f5fa8", "#c4472b", "#2e8540", "#8a6d00"};

struct Line {
  const char* field;
  const char* name;
};

struct Chart {
  const char* title;
  const char* kind;  // of the lines of metrics.jsonl that it is drawn from
  std::vector<Line> lines;
};

const std::vector<Chart>& Charts() {
  static const std::vector<Chart> charts = {
      {"FVE, raw variance (held out)",
       "eval",
       {{"fve_raw_variance", "greedy replies"},
        {"floor_shuffled", "another row's"},
        {"floor_zero", "zero vector"},
        {"floor_empty", "empty"}}},
      {"FVE, mean norm (held out)", "eval", {{"fve_mean_norm", "greedy replies"}}},
      {"reward", "step", {{"reward", "mean"}, {"reward_best", "best of the group"}}},
      {"spread of the rewards in a group", "step", {{"reward_spread", "standard deviation"}}},
      {"error of the reconstruction", "step", {{"mse", "own vector"}, {"mse_other_vector", "another vector"}}},
      {"extraction rate", "step", {{"extraction_rate", "share of the replies"}}},
      {"tokens a reply", "step", {{"tokens_mean", "mean"}}},
      {"share of the FVE kept (held out)",
       "eval",
       {{"truncation_retention", "by three quarters of the words"}, {"paraphrase_retention", "by synonyms"}}},
      {"KL to the starting policy", "step", {{"kl", "nats a token"}}},
      {"entropy", "step", {{"entropy", "nats a token"}}},
      {"clipped tokens", "step", {{"clip_fraction", "share"}}},
      {"gradient norm", "step", {{"av_grad_norm", "verbalizer"}, {"ar_grad_norm", "reconstructor"}}},
      {"seconds of a step",
       "step",
       {{"rollout_seconds", "rollout"},
        {"score_seconds", "scoring"},
        {"train_seconds", "training"},
        {"sync_seconds", "weights to servers"}}},
  };
  return charts;
}

std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

using Points = std::vector<std::pair<double, double>>;

Points PointsOf(std::span<const ordered_json> metrics, const Chart& chart, const char* field) {
  Points points;
  for (const ordered_json& line : metrics) {
    if (line.value("kind", "") != chart.kind) continue;
    const auto value = line.find(field);
    if (value != line.end() && value->is_number()) points.emplace_back(line.value("step", 0.0), value->get<double>());
  }
  return points;
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void Take(double x) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
  // Wide enough to divide by.
  void Widen() {
    if (high - low < 1e-9) {
      low -= 0.5;
      high += 0.5;
    }
  }
  double At(double x) const { return (x - low) / (high - low); }
};

std::string Label(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x, y, anchor, text);
}

std::string DrawChart(const Chart& chart, const std::vector<Points>& lines) {
  Range across;
  Range up;
  for (const Points& points : lines) {
    for (const auto& [x, y] : points) {
      across.Take(x);
      up.Take(y);
    }
  }
  across.Widen();
  up.Widen();
  const double bottom = kHeight - kBottom;
  const auto place_x = [&](double x) { return kLeft + across.At(x) * (kWidth - kLeft - kRight); };
  const auto place_y = [&](double y) { return bottom - up.At(y) * (bottom - kTop); };
  std::string svg =
      fmt::format("<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {} {}\">", chart.title, kWidth, kHeight);
  for (const double share : {0.0, 0.5, 1.0}) {
    const double value = up.low + share * (up.high - up.low);
    svg += fmt::format("<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft, kWidth - kRight,
                       place_y(value), place_y(value));
    svg += Label(kLeft - 4, place_y(value) + 4, "end", fmt::format("{:.3g}", value));
  }
  svg += Label(kLeft, kHeight - 6, "start", fmt::format("step {:.0f}", across.low));
  svg += Label(kWidth - kRight, kHeight - 6, "end", fmt::format("{:.0f}", across.high));
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    std::string path;
    for (const auto& [x, y] : lines[i]) path += fmt::format("{:.1f},{:.1f} ", place_x(x), place_y(y));
    svg += fmt::format(
        "<polyline stroke=\"{0}\" points=\"{1}\"/><circle r=\"2\" fill=\"{0}\" cx=\"{2:.1f}\" cy=\"{3:.1f}\"/>",
        kColors[i], path, place_x(lines[i].back().first), place_y(lines[i].back().second));
  }
  svg += "</svg><p>";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    svg += fmt::format("<span style=\"color:{}\">{}: {:.4g}</span> ", kColors[i], chart.lines[i].name,
                       lines[i].back().second);
  }
  return svg + "</p></figure>\n";
}

std::string RolloutTable(std::span<const ordered_json> rollouts) {
  if (rollouts.empty()) return "";
  const double step = rollouts.back().value("step", 0.0);
  std::string table = fmt::format(
      "<h2>Replies of step {:.0f}</h2>\n<table><tr><th>text up to the token</th><th>reply</th><th>reward</th>"
      "<th>advantage</th></tr>\n",
      step);
  for (const ordered_json& line : rollouts) {
    if (line.value("step", 0.0) != step) continue;
    const std::string text = line.value("text", "");
    table += fmt::format("<tr><td>{}</td><td>{}{}</td><td>{:.3f}</td><td>{:+.2f}</td></tr>\n",
                         Escaped(text.empty() ? line.value("doc_id", "") : text), Escaped(line.value("reply", "")),
                         line.value("failed", false) ? " <em>(failed)</em>" : "", line.value("reward", 0.0),
                         line.value("advantage", 0.0));
  }
  return table + "</table>\n";
}

}  // namespace

std::string RunPage(const RunPageInput& input) {
  std::string page = fmt::format(
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title>\n"
      "<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:90rem;margin:2rem auto;padding:0 1rem}}"
      "main{{display:grid;grid-template-columns:repeat(auto-fill,minmax(22rem,1fr));gap:1rem}}figure{{margin:0}}"
      "figcaption{{font-weight:600}}figure p{{margin:0;font-size:13px}}svg text{{font:11px "
      "system-ui,sans-serif;fill:#555}}"
      "svg line{{stroke:#ddd}}svg polyline{{fill:none;stroke-width:1.5}}table{{border-collapse:collapse}}"
      "td,th{{border:1px solid #bbb;padding:.3rem "
      ".6rem;text-align:left;vertical-align:top;white-space:pre-wrap}}</style>\n"
      "<h1>Reinforcement learning: {0}</h1><p>{1}</p>\n<main>\n",
      Escaped(input.title), Escaped(input.state));
  for (const Chart& chart : Charts()) {
    std::vector<Points> lines;
    lines.reserve(chart.lines.size());
    for (const Line& line : chart.lines) lines.push_back(PointsOf(input.metrics, chart, line.field));
    const bool any = std::any_of(lines.begin(), lines.end(), [](const Points& points) { return !points.empty(); });
    if (any) page += DrawChart(chart, lines);
  }
  return page + "</main>\n" + RolloutTable(input.rollouts) + "</html>\n";
}

}  // namespace nla
