// What a run's block says, at the widths of a split, a usual and a wide terminal.
#include "train/run_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/terminal.h"

namespace nla {
namespace {

using testing::ElementsAre;

RunView Example() {
  RunView view;
  view.label = "rl";
  view.done = 30;
  view.total = 120;
  view.seconds_a_step = 54;
  view.in_step = 12;
  view.curves = {{"reward", {-1.0, -0.9, -0.8, -0.6, -0.5, -0.351}},
                 {"held-out FVE", {0.31, 0.352, 0.4125}},
                 {"KL", {0.0012}},
                 {"length", std::vector<double>(400, 61.5)},
                 {"nothing", {}}};
  view.seconds = {{"rollout", 31.4}, {"score", 4.06}, {"train", 18}};
  view.sample =
      "<explanation>\nThe text speaks of a ship that left the harbour at dawn, in the past tense.\n</explanation>";
  view.sample_reward = -0.312;
  return view;
}

std::string Spaces(size_t count) { return std::string(count, ' '); }
std::string Times(size_t count, const std::string& text) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(RunView, IsNarrowWhereTheTerminalIs) {
  EXPECT_THAT(RenderRun(Example(), 40, true),
              ElementsAre("rl 30/120 steps, 54 s/step, 1h20m left",          //
                          "reward       ▁▂▃▅▆█" + Spaces(12) + "   -0.351",  //
                          "held-out FVE ▁▄█" + Spaces(15) + "   0.4125",     //
                          "KL           ▄" + Spaces(17) + "   0.0012",       //
                          "length       " + Times(18, "▄") + "     61.5",    //
                          "last step: rollout 31s, score 4.1 s, tr…",        //
                          "reply -0.312: <explanation> The text sp…"));
}

TEST(RunView, HasABarWhereThereIsRoom) {
  const std::vector<std::string> lines = RenderRun(Example(), 80, true);
  EXPECT_EQ(lines[0],
            "rl " + Times(6, "█") + "▊" + Times(20, "░") + " 30/120 steps, 54 s/step, 1h20m left, this one 12s");
  EXPECT_EQ(lines[1], "reward       ▁▂▃▅▆█" + Spaces(52) + "   -0.351");
  EXPECT_EQ(lines[5], "last step: rollout 31s, score 4.1 s, train 18s");
}

TEST(RunView, PutsCurvesSideBySideWhereItIsWide) {
  const std::vector<std::string> lines = RenderRun(Example(), 200, true);
  ASSERT_EQ(lines.size(), 5);
  EXPECT_EQ(lines[1], "reward       ▁▂▃▅▆█" + Spaces(54) + "   -0.351" + Spaces(3) + "held-out FVE ▁▄█" + Spaces(57) +
                          "   0.4125");
  EXPECT_THAT(lines[4], testing::EndsWith("in the past tense. </explanation>"));
}

TEST(RunView, IsAsciiWhereTheLocaleIs) {
  const std::vector<std::string> lines = RenderRun(Example(), 80, false);
  EXPECT_THAT(lines[1], testing::StartsWith("reward       _.,=+#  "));
  for (const std::string& line : lines) {
    for (const char c : line) EXPECT_TRUE(c >= ' ' && c <= '~') << line;
  }
}

TEST(RunView, IsNeverWiderThanItMayBe) {
  RunView odd = Example();
  odd.sample = "日本語の説明 😀 \x1b[31m red " + std::string(300, 'x');
  odd.curves.push_back({"ein sehr langer Name einer Kurve", {1e-12, -1.23456e-7}});
  odd.curves.push_back({"odd", {NAN, INFINITY, -INFINITY}});
  odd.seconds.emplace_back("sync", 1e7);
  for (const RunView& view : {Example(), odd, RunView{}}) {
    for (int width = 1; width < 250; ++width) {
      for (const bool utf8 : {false, true}) {
        for (const std::string& line : RenderRun(view, width, utf8)) {
          EXPECT_LE(DisplayWidth(line), width) << line;
          EXPECT_EQ(line.find('\x1b'), std::string::npos);
        }
      }
    }
  }
}

}  // namespace
}  // namespace nla
