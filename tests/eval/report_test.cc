// The report card of tiny pairs: every figure against the same figure computed step by step, and the page.
#include "eval/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "base/error_testing.h"
#include "nla/reconstructor.h"
#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kRows = 24;

class ReportTest : public testing::Test {
 protected:
  ReportCard Make(const std::string& actor, bool explained, int64_t rows = 0) {
    ReportOptions options;
    options.dataset.path = tiny_.WriteHeldOut(kRows, explained);
    options.dataset.limit = rows;
    options.language = language_;
    options.verbalize.sampling.max_new_tokens = 10;
    pair_ = tiny_.Assemble("pair_" + actor, actor, "ar");
    return MakeReport(pair_, options);
  }
  // The scores of these explanations against the held-out vectors.
  FveSummary Score(const std::vector<std::string>& explanations) {
    const std::vector<float> predicted = Reconstructor::Load(pair_.Critic(at::kFloat)).Run(explanations);
    return Summarize(predicted, std::span(vectors_).first(predicted.size()), kTinyWidth, 0);
  }
  std::vector<std::string> Known() {
    std::vector<std::string> known;
    for (int64_t i = 0; i < kRows; ++i) known.push_back(KnownExplanation(vectors_.data() + i * kTinyWidth));
    return known;
  }
  static void ExpectSame(const FveSummary& found, const FveSummary& wanted) {
    EXPECT_EQ(found.n, wanted.n);
    EXPECT_NEAR(found.mse, wanted.mse, 1e-5);
    EXPECT_NEAR(found.cosine_mean, wanted.cosine_mean, 1e-5);
    EXPECT_NEAR(found.fve_raw_variance, wanted.fve_raw_variance, 1e-5);
    EXPECT_NEAR(found.fve_mean_norm, wanted.fve_mean_norm, 1e-5);
    EXPECT_NEAR(found.fve_raw_variance_interval.low, wanted.fve_raw_variance_interval.low, 1e-4);
    EXPECT_NEAR(found.fve_raw_variance_interval.high, wanted.fve_raw_variance_interval.high, 1e-4);
  }

  TinyPair tiny_;
  PairLocation pair_;
  bool language_ = false;
  std::vector<float> vectors_ = RandomVectors(kRows, 3);  // what WriteHeldOut writes
};

TEST_F(ReportTest, EveryFigureIsWhatItSays) {
  const ReportCard card = Make("av_known", /*explained=*/true);
  const std::vector<std::string> known = Known();
  EXPECT_FALSE(card.language);
  EXPECT_EQ(card.extraction_rate, 1);
  EXPECT_EQ(card.tokens_mean, 3);  // tag, letter, tag
  ExpectSame(card.round_trip, Score(known));
  std::vector<std::string> shifted(kRows);
  for (int64_t i = 0; i < kRows; ++i) shifted[i] = known[(i + kRows / 2) % kRows];
  ExpectSame(card.shuffled, Score(shifted));
  EXPECT_GT(std::abs(card.shuffled.mse - card.round_trip.mse), 1e-3);
  ExpectSame(card.zero, Score(std::vector<std::string>(kRows, "a")));
  ExpectSame(card.empty, Score(std::vector<std::string>(kRows, "")));
  std::vector<std::string> labels(kRows);
  for (int64_t i = 0; i < kRows; ++i) labels[i] = "label " + std::to_string(i % 3);
  ASSERT_TRUE(card.label);
  ExpectSame(*card.label, Score(labels));
  EXPECT_LE(card.round_trip.fve_raw_variance_interval.low, card.round_trip.fve_raw_variance);
  EXPECT_GE(card.round_trip.fve_raw_variance_interval.high, card.round_trip.fve_raw_variance);
  ASSERT_EQ(card.examples.size(), 8U);
  for (size_t k = 0; k < 8; ++k) {
    EXPECT_EQ(card.examples[k].explanation, known[k * kRows / 8]);
    EXPECT_THAT(card.examples[k].text, HasSubstr("</b> " + std::to_string(k * kRows / 8) + " &"));
  }
}

TEST(Retention, IsOfTheExplanationsSaidOtherwise) {
  std::vector<std::vector<std::string>> scored;
  const Retention retention =
      MeasureRetention({"Ends with the word", "four of five words stay"}, [&](const std::vector<std::string>& texts) {
        scored.push_back(texts);
        FveSummary summary;
        summary.mse = static_cast<double>(scored.size());
        return summary;
      });
  EXPECT_EQ(scored, (std::vector<std::vector<std::string>>{{"Ends with the", "four of five words"},
                                                           {"Finishes with the word", "four of five words stay"}}));
  EXPECT_EQ(retention.truncated.mse, 1);
  EXPECT_EQ(retention.reworded.mse, 2);
  EXPECT_DOUBLE_EQ(retention.words_reworded, 1.0 / 9);
}

TEST_F(ReportTest, LanguageIsMeasuredWhenAskedFor) {
  language_ = true;
  const ReportCard card = Make("av_known", /*explained=*/true);
  ASSERT_TRUE(card.language);
  // One word each, a single letter: cut to three quarters it is whole, and it has no synonym.
  ExpectSame(card.language->retention.truncated, card.round_trip);
  ExpectSame(card.language->retention.reworded, card.round_trip);
  EXPECT_EQ(card.language->retention.words_reworded, 0);
  EXPECT_FALSE(card.language->perplexity) << "a single token foresees nothing";
  EXPECT_GT(card.language->label_perplexity.value(), 1);
  EXPECT_THAT(ReportHtml(card, "pair", "rows"), AllOf(HasSubstr("three quarters"), HasSubstr("as synonyms")));
}

TEST_F(ReportTest, RepliesWithoutTagsAreCountedAndScoredAsEmptyText) {
  const ReportCard card = Make("av", /*explained=*/false);
  EXPECT_EQ(card.extraction_rate, 0);
  EXPECT_FALSE(card.label);
  ExpectSame(card.round_trip, card.empty);
}

TEST_F(ReportTest, TakesTheFirstRowsOnly) {
  const ReportCard card = Make("av_known", /*explained=*/false, 5);
  EXPECT_EQ(card.round_trip.n, 5);
  std::vector<std::string> known = Known();
  known.resize(5);
  ExpectSame(card.round_trip, Score(known));
  EXPECT_EQ(card.examples.size(), 5U);
}

TEST_F(ReportTest, RefusesTooFewRowsAndAnotherWidth) {
  EXPECT_THAT(Refusal([&] { Make("av_known", false, 1); }),
              AllOf(HasSubstr("heldout.parquet"), HasSubstr("at least 2")));
  ReportOptions options;
  options.dataset.path = NLA_SOURCE_DIR "/tests/datagen/golden/base.parquet";
  EXPECT_THAT(Refusal([&] { MakeReport(pair_, options); }), AllOf(HasSubstr("base.parquet"), HasSubstr("wanted 64")));
}

TEST_F(ReportTest, ThePageIsSelfContainedAndEscaped) {
  ReportCard card = Make("av_known", /*explained=*/true);
  card.examples[0].explanation = "<script>alert(1)</script> & \"more\"";
  const std::string page = ReportHtml(card, "my<pair>", "rows & co.parquet");
  EXPECT_THAT(
      page, AllOf(testing::StartsWith("<!doctype html>"), testing::EndsWith("</html>\n"), HasSubstr("my&lt;pair&gt;"),
                  HasSubstr("rows &amp; co.parquet"), HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt; &amp; \"more\""),
                  HasSubstr("&lt;b&gt;number&lt;/b&gt;"), HasSubstr("Extraction rate 1.000")));
  // Nothing is fetched, nothing runs.
  for (const char* reach : {"<script", "src=", "href=", "http:", "https:", "@import", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(reach)));
  }
  for (const char* row : {"round trip", "labels read by the reconstructor", "floor: another row's explanation",
                          "floor: reply to a zero vector", "floor: empty text"}) {
    EXPECT_THAT(page, HasSubstr("<tr><td>" + std::string(row) + "</td><td>"));
  }
  // Every tag that is opened is closed.
  for (const std::string tag : {"html", "table", "tr", "td", "th", "p", "h1", "h2", "title", "style"}) {
    const auto count = [&](const std::string& pattern) {
      const std::regex regex(pattern);
      return std::distance(std::sregex_iterator(page.begin(), page.end(), regex), std::sregex_iterator());
    };
    EXPECT_EQ(count("<" + tag + "[ >]"), count("</" + tag + ">")) << tag;
  }
  card.label.reset();
  EXPECT_THAT(ReportHtml(card, "p", "d"), Not(HasSubstr("labels read")));
}

}  // namespace
}  // namespace nla
