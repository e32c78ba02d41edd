// The view under a lock, since the block's thread draws it too.
#include "train/run_display.h"

#include <algorithm>

#include "base/fail.h"

namespace nla {
namespace {

constexpr double kRedrawSeconds = 0.1;

}  // namespace

RunDisplay::RunDisplay(const std::string& label, int64_t total, const std::vector<std::string>& curves)
    : progress_(label, "steps", total) {
  for (const std::string& curve : curves) view_.curves.push_back({curve, {}});
  view_.label = label;
  view_.total = total;
}

void RunDisplay::Begin(int64_t done) {
  progress_.StartAt(done);
  view_.done = done;
  step_ended_ = Clock::now();
  if (!LiveBlockWanted()) return;
  utf8_ = LocaleIsUtf8();
  block_ = std::make_unique<LiveBlock>([this](int width) { return Draw(width); });
}

void RunDisplay::AddPoint(const std::string& curve, double value) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(view_.curves.begin(), view_.curves.end(),
                                  [&](const RunView::Curve& known) { return known.name == curve; });
  NLA_CHECK(found != view_.curves.end());
  found->values.push_back(value);
}

void RunDisplay::SetSeconds(const std::string& what, double seconds) {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(view_.seconds.begin(), view_.seconds.end(), [&](const auto& known) { return known.first == what; });
  if (found != view_.seconds.end()) {
    found->second = seconds;
  } else {
    view_.seconds.emplace_back(what, seconds);
  }
}

void RunDisplay::SetSample(const std::string& text, double reward) {
  const std::lock_guard lock(mutex_);
  view_.sample = text;
  view_.sample_reward = reward;
}

void RunDisplay::Update(int64_t done, const std::string& note) {
  if (!block_) {
    progress_.Update(done, note);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    progress_.Count(done);
    view_.done = done;
    view_.seconds_a_step = progress_.rate() > 0 ? 1 / progress_.rate() : 0;
    step_ended_ = Clock::now();
  }
  // Short steps would draw more often than anybody sees; the block's own thread draws the last of them.
  if (SecondsSince(drawn_) < kRedrawSeconds) return;
  block_->Redraw();
  drawn_ = Clock::now();
}

std::vector<std::string> RunDisplay::Draw(int width) {
  const std::lock_guard lock(mutex_);
  view_.in_step = SecondsSince(step_ended_);
  return RenderRun(view_, width, utf8_);
}

}  // namespace nla
