// Stop rules on made-up lines of metrics.jsonl, the guards of the reward, and the page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/grpo/run_page.h"
#include "train/grpo/scoring.h"
#include "train/grpo/stop_rules.h"

namespace nla {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Rules : public testing::Test {
 protected:
  static ordered_json SoundStep() {
    return {{"kind", "step"}, {"tokens_mean", 40.0}, {"extraction_rate", 0.99},
            {"kl", 0.05},     {"av_skipped", false}, {"ar_skipped", false}};
  }
  static ordered_json SoundEvaluation(double fve = 0.4) {
    return {{"kind", "eval"},
            {"fve_raw_variance", fve},
            {"shuffled_gap", 0.4},
            {"truncation_retention", 0.9},
            {"paraphrase_retention", 0.8}};
  }
  // The reason after `lines`, or "" while none has been given.
  static std::string ReasonAfter(const StopOptions& options, const std::vector<ordered_json>& lines) {
    StopRules rules(options);
    for (const ordered_json& line : lines) rules.Observe(line);
    return rules.reason().value_or("");
  }
  // So many sound steps, then so many with another value of a field.
  static std::vector<ordered_json> Steps(int sound, int changed, const char* field, const ordered_json& value) {
    std::vector<ordered_json> lines(static_cast<size_t>(sound), SoundStep());
    for (int i = 0; i < changed; ++i) {
      lines.push_back(SoundStep());
      lines.back()[field] = value;
    }
    return lines;
  }
  StopOptions options_;
};

TEST_F(Rules, ASoundRunGoesOn) {
  std::vector<ordered_json> lines = {SoundEvaluation()};
  for (int i = 0; i < 50; ++i) lines.push_back(SoundStep());
  lines.push_back(SoundEvaluation(0.5));
  EXPECT_EQ(ReasonAfter(options_, lines), "");
}

TEST_F(Rules, KlThatRunsAway) {
  EXPECT_THAT(ReasonAfter(options_, Steps(20, 10, "kl", 1.5)), StartsWith("kl: "));
  EXPECT_EQ(ReasonAfter(options_, Steps(20, 3, "kl", 2.5)), "") << "one bad step is not a drift";
  options_.kl = 0;
  EXPECT_EQ(ReasonAfter(options_, Steps(20, 10, "kl", 1.5)), "");
}

TEST_F(Rules, LengthThatDrifts) {
  EXPECT_THAT(ReasonAfter(options_, Steps(20, 10, "tokens_mean", 90.0)), StartsWith("length: "));
  EXPECT_THAT(ReasonAfter(options_, Steps(20, 10, "tokens_mean", 15.0)), StartsWith("length: "));
  EXPECT_EQ(ReasonAfter(options_, Steps(20, 10, "tokens_mean", 70.0)), "");
}

TEST_F(Rules, ExtractionThatFalls) {
  EXPECT_THAT(ReasonAfter(options_, Steps(20, 10, "extraction_rate", 0.3)), StartsWith("extraction: "));
  EXPECT_THAT(ReasonAfter(options_, Steps(0, 10, "extraction_rate", 0.3)), StartsWith("extraction: "));
  EXPECT_EQ(ReasonAfter(options_, Steps(0, 9, "extraction_rate", 0.3)), "") << "the window is not full";
}

TEST_F(Rules, GradientsThatAreNotFinite) {
  EXPECT_THAT(ReasonAfter(options_, Steps(1, 3, "av_skipped", true)), StartsWith("skipped: "));
  EXPECT_THAT(ReasonAfter(options_, Steps(1, 3, "ar_skipped", true)), StartsWith("skipped: "));
  std::vector<ordered_json> lines = Steps(1, 2, "av_skipped", true);
  for (const ordered_json& line : Steps(1, 2, "av_skipped", true)) lines.push_back(line);
  EXPECT_EQ(ReasonAfter(options_, lines), "") << "not in a row";
}

TEST_F(Rules, WordsThatNoLongerDependOnTheVector) {
  ordered_json later = SoundEvaluation(0.45);
  later["shuffled_gap"] = 0.15;
  EXPECT_THAT(ReasonAfter(options_, {SoundEvaluation(), later}), StartsWith("shuffled: "));
  ordered_json nothing_to_lose = SoundEvaluation();
  nothing_to_lose["shuffled_gap"] = 0.01;
  later["shuffled_gap"] = -0.01;
  EXPECT_EQ(ReasonAfter(options_, {nothing_to_lose, later}), "");
  later["shuffled_gap"] = 0.25;
  EXPECT_EQ(ReasonAfter(options_, {SoundEvaluation(), later}), "");
}

TEST_F(Rules, WordsThatBecomeACode) {
  ordered_json later = SoundEvaluation(0.6);
  later["truncation_retention"] = 0.5;
  EXPECT_THAT(ReasonAfter(options_, {SoundEvaluation(), later}), StartsWith("retention: three quarters"));
  later = SoundEvaluation(0.6);
  later["paraphrase_retention"] = 0.4;
  EXPECT_THAT(ReasonAfter(options_, {SoundEvaluation(), later}), StartsWith("retention: synonyms"));
  later["fve_raw_variance"] = 0.3;
  EXPECT_EQ(ReasonAfter(options_, {SoundEvaluation(), later}), "") << "FVE does not rise";
}

TEST_F(Rules, TheFirstReasonStaysAndWhatIsNoNumberIsPassedOver) {
  std::vector<ordered_json> lines = Steps(20, 10, "kl", 1.5);
  for (int i = 0; i < 10; ++i) {
    lines.push_back(SoundStep());
    lines.back()["extraction_rate"] = 0.0;
  }
  EXPECT_THAT(ReasonAfter(options_, lines), StartsWith("kl: "));
  EXPECT_EQ(ReasonAfter(options_, Steps(20, 10, "kl", nullptr)), "");
  EXPECT_EQ(ReasonAfter(options_, {ordered_json{{"kind", "preflight"}, {"kl", 100.0}}}), "");
}

TEST(RewardGuards, CountRepeatedTrigrams) {
  EXPECT_EQ(RepeatedTrigrams(std::vector<TokenId>{1, 2}), 0);
  EXPECT_EQ(RepeatedTrigrams(std::vector<TokenId>{1, 2, 3, 4, 5}), 0);
  EXPECT_DOUBLE_EQ(RepeatedTrigrams(std::vector<TokenId>{1, 1, 1, 1, 1}), 2.0 / 3);
  EXPECT_DOUBLE_EQ(RepeatedTrigrams(std::vector<TokenId>{1, 2, 3, 1, 2, 3}), 0.25);
}

TEST(RunPage, HasACurveForWhatThereIsAndEscapesReplies) {
  std::vector<ordered_json> metrics;
  for (int step = 1; step <= 3; ++step) {
    metrics.push_back({{"kind", "step"}, {"step", step}, {"reward", -1.0 / step}, {"kl", nullptr}});
  }
  const std::vector<ordered_json> rollouts = {
      {{"kind", "rollout"}, {"step", 1}, {"text", "earlier"}, {"reply", "old"}, {"reward", 0.0}, {"advantage", 0.0}},
      {{"kind", "rollout"},
       {"step", 3},
       {"text", "a < b"},
       {"reply", "<explanation>"},
       {"failed", true},
       {"reward", -2.0},
       {"advantage", -1.0}}};
  const std::string page =
      RunPage({.title = "runs/a&b", .state = "After step 3.", .metrics = metrics, .rollouts = rollouts});
  EXPECT_THAT(page, HasSubstr("mean: -0.3333"));
  EXPECT_THAT(page, HasSubstr("runs/a&amp;b"));
  EXPECT_THAT(page, HasSubstr("a &lt; b"));
  EXPECT_THAT(page, HasSubstr("&lt;explanation&gt; <em>(failed)</em>"));
  EXPECT_THAT(page, Not(HasSubstr("KL to the starting policy")));
  EXPECT_THAT(page, Not(HasSubstr("earlier")));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, Not(HasSubstr("http")));
}

}  // namespace
}  // namespace nla
