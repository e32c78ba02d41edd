// The whole road through the program on the tiny checkpoint: every stage ends with 0 and prints one JSON document whose
// fields are there and agree with each other. What the numbers should be is the layers' own tests' matter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/tiny_road_testing.h"

namespace nla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Each;
using testing::HasSubstr;
using testing::IsSupersetOf;

std::vector<std::string> Keys(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

// A short summary every stage that scores prints.
void ExpectScores(const json& scores, int64_t n) {
  EXPECT_THAT(Keys(scores), IsSupersetOf({"n", "mse", "cosine_mean", "fve_raw_variance", "fve_mean_norm", "interval"}));
  EXPECT_EQ(scores.at("n"), n);
  // mse = 2 (1 − cosine), both at norm sqrt(d).
  EXPECT_NEAR(scores.at("mse").get<double>(), 2 * (1 - scores.at("cosine_mean").get<double>()), 1e-4);
  EXPECT_LE(scores.at("fve_raw_variance").get<double>(), 1);
  const json& interval = scores.at("interval").at("fve_raw_variance");
  EXPECT_LE(interval.at(0), scores.at("fve_raw_variance"));
  EXPECT_GE(interval.at(1), scores.at("fve_raw_variance"));
}

class EndToEnd : public testing::Test {
 protected:
  const TinyRoad& road_ = TinyRoad::Get();
  TestFolder out_;

  int64_t HeldOutRows() const { return road_.Result("label rl").at("rows_out"); }
};

TEST_F(EndToEnd, RowsAreAccountedForFromStageToStage) {
  const json& extracted = road_.Result("extract");
  EXPECT_EQ(extracted.at("documents"), 60);
  EXPECT_EQ(extracted.at("rows"), 240);
  EXPECT_GT(extracted.at("norms").at("p75"), extracted.at("norms").at("p5"));
  const json& split = road_.Result("split");
  EXPECT_EQ(split.at("rows_in"), 240);
  int64_t rows = 0;
  for (const json& bucket : split.at("buckets")) rows += bucket.at("rows").get<int64_t>();
  EXPECT_EQ(rows, 240);
  for (const std::string stage : {"av_sft", "ar_sft"}) {
    const json& labelled = road_.Result("label " + stage);
    int64_t dropped = 0;
    for (const auto& [reason, count] : labelled.at("dropped").items()) dropped += count.get<int64_t>();
    EXPECT_EQ(labelled.at("rows_in").get<int64_t>(), labelled.at("rows_out").get<int64_t>() + dropped);
    EXPECT_GT(labelled.at("rows_out").get<int64_t>(), 60);
    EXPECT_EQ(road_.Result("build " + stage).at("rows_out"), labelled.at("rows_out"));
    EXPECT_EQ(road_.Result("build " + stage).at("injection_char"), "א");
    EXPECT_EQ(road_.Result("shuffle " + stage).at("rows_out"), labelled.at("rows_out"));
  }
}

TEST_F(EndToEnd, TrainingMovesTheLoss) {
  for (const std::string role : {"ar", "av"}) {
    const json& trained = road_.Result("train " + role);
    EXPECT_EQ(trained.at("steps"), 6);
    EXPECT_EQ(trained.at("rows"), 48);
    EXPECT_EQ(trained.at("skipped_steps"), 0);
    std::ifstream metrics(road_ / ("runs/" + role + "/metrics.jsonl"));
    std::vector<double> losses;
    for (std::string line; std::getline(metrics, line);) {
      const json entry = json::parse(line);
      if (entry.at("kind") == "step") losses.push_back(entry.at("loss"));
    }
    ASSERT_EQ(losses.size(), 6U);
    EXPECT_LT(losses.back(), losses.front()) << role;
    EXPECT_EQ(losses.back(), trained.at("loss").get<double>());
  }
  EXPECT_THAT(Keys(road_.Result("train ar").at("heldout")), IsSupersetOf({"fve_raw_variance", "fve_mean_norm"}));
  EXPECT_THAT(Keys(road_.Result("train av").at("heldout")),
              IsSupersetOf({"cross_entropy", "cross_entropy_other_vector"}));
}

TEST_F(EndToEnd, ReportHasItsFigures) {
  const json report = RunJson({"report", "--pair", road_ / "pair", "--dataset", road_ / "heldout.parquet", "--rows",
                               "8", "--max-new-tokens", "8", "--html", (out_ / "card.html").string()});
  ExpectScores(report, 8);
  EXPECT_THAT(Keys(report.at("floors")), IsSupersetOf({"shuffled", "zero", "empty"}));
  for (const json& floor : report.at("floors")) ExpectScores(floor, 8);
  ExpectScores(report.at("label"), 8);
  EXPECT_GE(report.at("extraction_rate"), 0);
  EXPECT_LE(report.at("extraction_rate"), 1);
  EXPECT_EQ(report.at("layer"), 1);
  EXPECT_EQ(report.at("base_model"), "model");
  EXPECT_GT(fs::file_size(out_ / "card.html"), 500U);
}

TEST_F(EndToEnd, ExplainAnswersForTheTokensAskedFor) {
  const std::vector<std::string> arguments = {"explain",  "--pair", road_ / "pair",     "--text", "Rain fell.",
                                              "--tokens", "0,2,-1", "--max-new-tokens", "6"};
  const json explained = RunJson(arguments);
  EXPECT_EQ(explained.at("text"), "Rain fell.");
  ASSERT_EQ(explained.at("tokens").size(), 3U);
  for (const json& token : explained.at("tokens")) {
    EXPECT_THAT(Keys(token), IsSupersetOf({"index", "token", "explanation", "cosine", "mse", "fve_raw_variance",
                                           "fve_mean_norm", "ok"}));
    EXPECT_NEAR(token.at("mse").get<double>(), 2 * (1 - token.at("cosine").get<double>()), 1e-4);
  }
  EXPECT_EQ(explained.at("tokens")[0].at("token"), "R");
  EXPECT_EQ(explained.at("tokens")[2].at("token"), ".");
  EXPECT_EQ(RunJson(arguments), explained);
}

TEST_F(EndToEnd, VerbalizeReconstructAndScoreAgree) {
  const json verbalized = RunJson({"verbalize", "--av", road_ / "pair/av", "--base", road_ / "model", "--activations",
                                   road_ / "heldout.parquet", "--max-new-tokens", "4"});
  ASSERT_EQ(static_cast<int64_t>(verbalized.at("rows").size()), HeldOutRows());
  for (const json& row : verbalized.at("rows")) {
    EXPECT_THAT(Keys(row), IsSupersetOf({"index", "explanation", "raw", "finish_reason", "tokens", "logprob"}));
    EXPECT_LE(row.at("tokens"), 4);
  }
  const std::vector<std::string> critic = {"--ar", road_ / "pair/ar", "--base", road_ / "model", "--dtype", "fp32"};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), critic.begin(), critic.end());
    return RunJson(arguments);
  };
  const json vector = with({"reconstruct", "--text", "Ends with \"rain\"."});
  EXPECT_EQ(vector.at("vector").size(), 64U);
  const json scores = with({"score", "--input", road_ / "heldout.parquet"});
  ExpectScores(scores, HeldOutRows());
  for (const std::string floor : {"shuffled", "empty"}) ExpectScores(scores.at("floors").at(floor), HeldOutRows());
  // Reconstructed vectors in place of the true ones score perfectly.
  const std::string vectors = (out_ / "vectors.parquet").string();
  EXPECT_EQ(with({"reconstruct", "--input", road_ / "heldout.parquet", "--out", vectors}).at("rows"), HeldOutRows());
  EXPECT_NEAR(with({"score", "--input", vectors}).at("cosine_mean").get<double>(), 1, 1e-5);
}

TEST_F(EndToEnd, InspectFindsEverythingSound) {
  const std::pair<const char*, const char*> made[] = {{"model", "checkpoint"},
                                                      {"pair", "pair"},
                                                      {"base.parquet", "dataset"},
                                                      {"av_sft.parquet", "dataset"},
                                                      {"runs/av/final", "verbalizer"},
                                                      {"runs/ar/final", "reconstructor"},
                                                      {"model/model.safetensors", "safetensors"}};
  for (const auto& [name, kind] : made) {
    const json found = RunJson({"inspect", road_ / name});
    EXPECT_EQ(found.at("kind"), kind) << name;
    EXPECT_TRUE(found.at("problems").empty()) << found;
  }
}

TEST_F(EndToEnd, ASecondRunOfAStageDoesNothing) {
  const auto before = fs::last_write_time(road_ / "base.parquet");
  EXPECT_EQ(RunJson({"split", "--input", road_ / "base.parquet", "--out-dir", road_ / "split", "--av", "0.4", "--ar",
                     "0.4", "--rl", "0.2"})
                .at("up_to_date"),
            true);
  EXPECT_EQ(fs::last_write_time(road_ / "base.parquet"), before);
}

TEST_F(EndToEnd, ResultsForPeopleAreNotJson) {
  const RunResult run =
      RunNla({"score", "--ar", road_ / "pair/ar", "--base", road_ / "model", "--input", road_ / "heldout.parquet"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("FVE"));
  EXPECT_FALSE(json::accept(run.out));
}

}  // namespace
}  // namespace nla
