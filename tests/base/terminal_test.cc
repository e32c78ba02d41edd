// Text cut to a terminal's cells; a block that stays below what is logged, seen through a pseudo terminal.
#include "base/terminal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <cstdlib>

#include "base/live_block.h"
#include "base/log.h"

namespace nla {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(FitLine, CutsByCells) {
  EXPECT_EQ(FitLine("four", 4, true), "four");
  EXPECT_EQ(FitLine("fives", 4, true), "fiv…");
  EXPECT_EQ(FitLine("fives", 4, false), "f...");
  EXPECT_EQ(FitLine("fives", 2, false), "fi");
  EXPECT_EQ(FitLine("日本語", 5, true), "日本…");
  EXPECT_EQ(FitLine("日本語", 4, true), "日…");
  EXPECT_EQ(FitLine("any", 0, true), "");
}

TEST(FitLine, LeavesNothingThatATerminalWouldObey) {
  EXPECT_EQ(FitLine("\x1b[2Ja\r\n\t b\u202e\u200bc\x9b", 20, true), "[2Ja bc?");
  EXPECT_EQ(FitLine("caf\u00e9 \xff", 20, false), "caf? ?");
  for (const char* text : {"\xe2\x82", "\xf0\x9f\x98", "a\u0301b", "😀😀😀"}) {
    for (int cells = 0; cells < 8; ++cells) {
      EXPECT_LE(DisplayWidth(FitLine(text, cells, true)), cells) << text << " " << cells;
    }
  }
}

// What a terminal shows of the few sequences that the block uses.
std::vector<std::string> Screen(const std::string& output) {
  std::vector<std::string> rows(1);
  size_t row = 0;
  size_t column = 0;
  for (size_t at = 0; at < output.size(); ++at) {
    if (output[at] == '\r') {
      column = 0;
    } else if (output[at] == '\n') {
      if (++row == rows.size()) rows.emplace_back();
    } else if (output[at] == '\x1b') {
      size_t end = at + 2;
      while (std::isdigit(static_cast<unsigned char>(output[end])) != 0) ++end;
      if (output[end] == 'A') row -= std::min(row, static_cast<size_t>(std::atoi(&output[at + 2])));
      if (output[end] == 'J') {
        rows.resize(row + 1);
        rows[row].resize(column);
      }
      at = end;
    } else {
      rows[row].resize(std::max(rows[row].size(), column + 1), ' ');
      rows[row][column++] = output[at];
    }
  }
  return rows;
}

// stderr as a pseudo terminal for as long as it lives.
class PseudoTerminal {
 public:
  explicit PseudoTerminal(unsigned short columns)
      : error_(dup(STDERR_FILENO)) {  // NOLINT(google-runtime-int): winsize's
    int inner = -1;
    winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(openpty(&outer_, &inner, nullptr, nullptr, &size), 0);
    fcntl(outer_, F_SETFL, O_NONBLOCK);
    dup2(inner, STDERR_FILENO);
    close(inner);
    setenv("TERM", "xterm", 1);
  }
  ~PseudoTerminal() {
    dup2(error_, STDERR_FILENO);
    close(error_);
    close(outer_);
  }
  std::string Read() const {
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0; (got = read(outer_, buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(got));
    return text;
  }

 private:
  int outer_ = -1;
  int error_;
};

TEST(LiveBlock, StaysBelowWhatIsLogged) {
  SetUpLogging("info");
  AllowLiveBlocks();
  const PseudoTerminal terminal(40);
  ASSERT_TRUE(LiveBlockWanted());
  spdlog::set_level(spdlog::level::warn);
  EXPECT_FALSE(LiveBlockWanted());
  spdlog::set_level(spdlog::level::info);
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(LiveBlockWanted());
  setenv("TERM", "xterm", 1);
  const size_t sinks = spdlog::default_logger()->sinks().size();
  const spdlog::sink_ptr sink = spdlog::default_logger()->sinks()[0];
  {
    std::atomic<int> step = 0;
    LiveBlock block([&](int width) {
      return std::vector<std::string>{fmt::format("step {}", step.load()),
                                      std::string(static_cast<size_t>(width), '=')};
    });
    EXPECT_TRUE(LiveBlockShown());
    spdlog::info("one");
    step = 1;
    block.Redraw();
    spdlog::info("two");
    step = 2;
  }
  EXPECT_FALSE(LiveBlockShown());
  EXPECT_EQ(spdlog::default_logger()->sinks().size(), sinks);
  EXPECT_EQ(spdlog::default_logger()->sinks()[0], sink);
  spdlog::info("three");
  EXPECT_THAT(Screen(terminal.Read()),
              ElementsAre(HasSubstr("one"), HasSubstr("two"), "step 2", std::string(39, '='), HasSubstr("three"), ""));
}

}  // namespace
}  // namespace nla
