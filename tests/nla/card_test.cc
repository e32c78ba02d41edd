// Model cards: the facts of the sidecar, the figures of the report, and nothing made up.
#include "nla/card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_testing.h"
#include "base/file.h"
#include "nla/export.h"
#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

nlohmann::json Figures(double raw) {
  return {{"fve_raw_variance", raw},
          {"fve_mean_norm", raw + 0.1},
          {"cosine_mean", 0.5},
          {"interval", {{"fve_raw_variance", {raw - 0.02, raw + 0.02}}, {"fve_mean_norm", {raw, raw + 0.2}}}}};
}

nlohmann::json Report() {
  nlohmann::json report = Figures(0.365);
  report["n"] = 548;
  report["extraction_rate"] = 0.9945;
  report["tokens_mean"] = 44.01;
  report["label"] = Figures(0.593);
  report["floors"] = {{"shuffled", Figures(-0.7)}, {"zero", Figures(-0.6)}, {"empty", Figures(-0.5)}};
  report["dataset"] = "/home/me/heldout.parquet";
  report["base_model"] = "tiny";
  report["layer"] = kTinyLayer;
  report["dtype"] = "bf16";
  return report;
}

class CardTest : public testing::Test {
 protected:
  CardTest() { tiny_.Assemble("pair", "av", "ar"); }
  std::string Card(const std::string& name, const CardOptions& options = {}) {
    return ModelCard(tiny_ / name, options);
  }
  std::string RefusedWith(const nlohmann::json& report) {
    return Refusal([&] { Card("pair", {.report = report}); });
  }
  TinyPair tiny_;
};

TEST_F(CardTest, HasTheFrontMatterThatHubsRead) {
  EXPECT_THAT(Card("pair", {.license = "apache-2.0", .repo = "me/tiny-nla", .base_model = "org/tiny"}),
              AllOf(StartsWith("---\nlicense: apache-2.0\nbase_model: org/tiny\nbase_model_relation: adapter\n"
                               "library_name: peft\ntags:\n- natural-language-autoencoder\n"),
                    HasSubstr("\n---\n\n# tiny-nla\n"), HasSubstr("nla pull hf:me/tiny-nla")));
  EXPECT_THAT(Card("av_whole"),
              AllOf(HasSubstr("license: unknown"), HasSubstr("base_model: tiny"), HasSubstr("relation: finetune"),
                    HasSubstr("library_name: transformers"), HasSubstr("The licence is to be filled in")));
}

TEST_F(CardTest, TellsLayerScaleAndMarker) {
  const ModelSidecar sidecar = ReadModelSidecar(tiny_ / "av");
  EXPECT_THAT(Card("pair"), AllOf(HasSubstr("| layer K | 1: the output of block 1"), HasSubstr("hidden_states[2]"),
                                  HasSubstr("| injection scale | 6: "), HasSubstr("| width | 64 |"),
                                  HasSubstr(sidecar.tokens->injection_char), HasSubstr("LoRA adapters")));
  EXPECT_THAT(Card("ar_whole"), AllOf(HasSubstr("reconstructor (AR)"), Not(HasSubstr("injection scale |"))));
}

TEST_F(CardTest, ShowsBothFvesWithIntervalsAndFloors) {
  const std::string card = Card("pair", {.report = Report()});
  EXPECT_THAT(card, AllOf(HasSubstr("| round trip | 0.365 [0.345, 0.385] | 0.465 [0.365, 0.565] | 0.500 |"),
                          HasSubstr("| training labels read by the reconstructor | 0.593 ["),
                          HasSubstr("| floor: another row's explanation | -0.700 ["), HasSubstr("zero vector | -0.600"),
                          HasSubstr("empty text | -0.500")));
  EXPECT_THAT(
      card, AllOf(HasSubstr("548 held-out rows of `heldout.parquet`"), HasSubstr("0.995"), Not(HasSubstr("/home/me"))));
  EXPECT_THAT(Card("pair"), Not(HasSubstr("FVE raw variance")));
}

TEST_F(CardTest, RefusesAReportOfAnotherPair) {
  nlohmann::json report = Report();
  report["layer"] = 7;
  EXPECT_THAT(RefusedWith(report), AllOf(HasSubstr("another layer"), HasSubstr("found 7, wanted 1")));
  report = Report();
  report["base_model"] = "other";
  EXPECT_THAT(RefusedWith(report), HasSubstr("another base model"));
  report = Report();
  report.erase("floors");
  EXPECT_THAT(RefusedWith(report), HasSubstr("lacks a figure"));
  EXPECT_THAT(RefusedWith({{"n", 3}}), HasSubstr("is not what `nla report --json` prints"));
}

TEST_F(CardTest, WritesOneForEveryFolderAndKeepsWhatIsThere) {
  EXPECT_EQ(WriteModelCards(tiny_ / "pair", {}, false).size(), 3U);
  EXPECT_THAT(ReadFile(tiny_ / "pair/av/README.md"), HasSubstr("verbalizer (AV)"));
  EXPECT_THAT(ReadFile(tiny_ / "pair/ar/README.md"), HasSubstr("reconstructor (AR)"));
  EXPECT_THAT(Refusal([&] { WriteModelCards(tiny_ / "pair", {}, false); }),
              AllOf(HasSubstr("README.md"), HasSubstr("already exists")));
  EXPECT_EQ(WriteModelCards(tiny_ / "pair", {}, true).size(), 3U);
}

}  // namespace
}  // namespace nla
