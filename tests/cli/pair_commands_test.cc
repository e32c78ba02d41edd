// The commands on a pair, run as programs: with --json exactly one document on stdout, also when something is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "cli/run_testing.h"
#include "data/activation_table.h"
#include "data/vector_writer.h"
#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PairCommands : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    tiny_ = std::make_unique<TinyPair>();
    tiny_->WriteHeldOut(12, /*explained=*/true);
  }
  static void TearDownTestSuite() { tiny_.reset(); }

  static std::string At(const std::string& name) { return (*tiny_ / name).string(); }
  // The whole of stdout as one JSON document: anything else there is a parse error.
  static nlohmann::json Json(std::vector<std::string> arguments, int code = 0) {
    for (const char* word : {"--json", "--threads", "1"}) arguments.emplace_back(word);
    const RunResult run = RunNla(arguments);
    EXPECT_EQ(run.code, code) << run.err;
    return nlohmann::json::parse(run.out, nullptr, /*allow_exceptions=*/false);
  }

  static std::unique_ptr<TinyPair> tiny_;
};
std::unique_ptr<TinyPair> PairCommands::tiny_;

TEST_F(PairCommands, FromSidesToAReport) {
  const nlohmann::json pair = Json({"pair", "--av", At("av_known"), "--ar", At("ar"), "--base", At("base"), "--dataset",
                                    At("heldout.parquet"), "--out", At("pair")});
  EXPECT_EQ(pair["base_model"], "tiny");
  EXPECT_EQ(pair["layer"], kTinyLayer);

  const nlohmann::json explained =
      Json({"explain", "--pair", At("pair"), "--text", "the ship", "--tokens", "0,-1", "--dtype", "fp32"});
  ASSERT_EQ(explained["tokens"].size(), 2U);
  EXPECT_EQ(explained["tokens"][0]["index"], 0);
  EXPECT_EQ(explained["tokens"][0]["ok"], true);
  EXPECT_TRUE(explained["tokens"][1]["fve_raw_variance"].is_number());

  const nlohmann::json report = Json({"report", "--pair", At("pair"), "--dataset", At("heldout.parquet"), "--html",
                                      At("card.html"), "--dtype", "fp32"});
  EXPECT_EQ(report["n"], 12);
  EXPECT_EQ(report["quant"], "none");
  EXPECT_EQ(report["extraction_rate"], 1.0);
  for (const char* floor : {"shuffled", "zero", "empty"}) EXPECT_TRUE(report["floors"][floor]["mse"].is_number());
  EXPECT_TRUE(report["label"]["fve_mean_norm"].is_number());
  EXPECT_THAT(ReadFile(*tiny_ / "card.html"), HasSubstr("</html>"));
}

TEST_F(PairCommands, EightBitWeightsSayTheSame) {
  const std::vector<std::string> sides = {"--av", At("av_known"), "--ar", At("ar"), "--base", At("base")};
  const auto with = [&](std::vector<std::string> arguments, const std::string& quant) {
    arguments.insert(arguments.end(), sides.begin(), sides.end());
    arguments.insert(arguments.end(), {"--quant", quant});
    return arguments;
  };
  const nlohmann::json explained = Json(with({"explain", "--text", "the ship", "--tokens", "all"}, "q8"));
  EXPECT_EQ(explained["quant"], "q8");
  for (const nlohmann::json& token : explained["tokens"]) EXPECT_EQ(token["ok"], true);
  const nlohmann::json report = Json(with({"report", "--dataset", At("heldout.parquet")}, "q8"));
  EXPECT_EQ(report["quant"], "q8");
  EXPECT_EQ(report["extraction_rate"], 1.0);
  // What the reconstructor makes of the labels is not the verbalizer's business.
  EXPECT_EQ(report["label"], Json(with({"report", "--dataset", At("heldout.parquet")}, "none"))["label"]);
  const RunResult refused = RunNla(with({"report", "--dataset", At("heldout.parquet")}, "q4"));
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--quant"));
}

TEST_F(PairCommands, OneSideAlone) {
  const nlohmann::json replies = Json(
      {"verbalize", "--av", At("av_known"), "--activations", At("heldout.parquet"), "--dtype", "fp32", "--n", "2"});
  ASSERT_EQ(replies["rows"].size(), 24U);
  EXPECT_EQ(Json({"verbalize", "--av", At("av_known"), "--activations", At("heldout.parquet"), "--dtype", "fp32", "--n",
                  "2", "--quant", "q8"})["rows"]
                .size(),
            24U);
  const std::vector<float> vectors = RandomVectors(12, 3);
  for (int64_t i = 0; i < 24; ++i) {
    EXPECT_EQ(replies["rows"][i]["explanation"], KnownExplanation(vectors.data() + i / 2 * kTinyWidth));
    EXPECT_EQ(replies["rows"][i]["index"], i / 2);
    EXPECT_EQ(replies["rows"][i]["finish_reason"], "stop");
  }
  // Random weights write broken UTF-8: still one document, and one a line in the file.
  const nlohmann::json to_file = Json({"verbalize", "--av", At("av_whole"), "--activations", At("heldout.parquet"),
                                       "--max-new-tokens", "9", "--temperature", "1", "--out", At("out.jsonl")});
  EXPECT_EQ(to_file["rows"], 12);
  std::istringstream lines(ReadFile(*tiny_ / "out.jsonl"));
  int64_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_EQ(nlohmann::json::parse(line)["index"], count);
  }
  EXPECT_EQ(count, 12);

  const std::vector<std::string> critic = {"--ar", At("ar"), "--base", At("base")};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), critic.begin(), critic.end());
    return Json(arguments);
  };
  EXPECT_EQ(with({"reconstruct", "--text", "a"})["vector"].size(), static_cast<size_t>(kTinyWidth));
  EXPECT_EQ(with({"reconstruct", "--input", At("heldout.parquet"), "--out", At("made.parquet")})["rows"], 12);
  EXPECT_EQ(with({"score", "--input", At("heldout.parquet")})["n"], 12);
  // What was reconstructed from the same texts is a perfect guess.
  EXPECT_NEAR(with({"score", "--input", At("made.parquet"), "--dtype", "fp32"})["cosine_mean"].get<double>(), 1, 0.01);
}

TEST_F(PairCommands, ActivationsOfOtherFormatsAndPipes) {
  const std::vector<float> vectors = RandomVectors(5, 9);
  for (const char* name : {"v.npy", "v.safetensors", "v.jsonl"}) {
    const auto writer = VectorWriter::Open(*tiny_ / name, 5, kTinyWidth);
    writer->Append(vectors);
    writer->Finish();
    const nlohmann::json replies =
        Json({"verbalize", "--av", At("av_known"), "--activations", At(name), "--layer", "1", "--dtype", "fp32"});
    ASSERT_EQ(replies["rows"].size(), 5U) << name;
    for (int64_t i = 0; i < 5; ++i) {
      EXPECT_EQ(replies["rows"][i]["explanation"], KnownExplanation(vectors.data() + i * kTinyWidth)) << name;
    }
  }
  for (const char* name : {"v.npy", "v.jsonl"}) {
    const RunResult run = RunShell("cat " + At(name) + " | " NLA_PROGRAM " verbalize --av " + At("av_known") +
                                   " --activations - --limit 3 --json --dtype fp32");
    EXPECT_EQ(run.code, 0) << run.err;
    EXPECT_THAT(run.err, HasSubstr("standard input: nothing says which layer these are of; taken for K = 1"));
    EXPECT_EQ(nlohmann::json::parse(run.out, nullptr, false)["rows"].size(), 3U);
  }
  const std::string wrong =
      Json({"verbalize", "--av", At("av_known"), "--activations", At("v.npy"), "--layer", "2"}, 1)["error"]["message"];
  EXPECT_THAT(wrong, AllOf(HasSubstr("v.npy: activations of another layer"), HasSubstr("found K = 2, wanted K = 1"),
                           HasSubstr("--force")));
  EXPECT_EQ(Json({"verbalize", "--av", At("av_known"), "--activations", At("v.npy"), "--layer", "2", "--force"})["rows"]
                .size(),
            5U);
}

TEST_F(PairCommands, FromPlainVectorsToAScore) {
  const auto writer = VectorWriter::Open(*tiny_ / "plain.npy", 5, kTinyWidth);
  writer->Append(RandomVectors(5, 10));
  writer->Finish();
  EXPECT_EQ(Json({"verbalize", "--av", At("av_known"), "--activations", At("plain.npy"), "--layer", "1", "--out",
                  At("rows.parquet"), "--dtype", "fp32"})["rows_out"],
            5);
  const std::vector<std::string> critic = {"--ar", At("ar"), "--base", At("base"), "--dtype", "fp32"};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), critic.begin(), critic.end());
    return Json(arguments);
  };
  EXPECT_EQ(with({"score", "--input", At("rows.parquet")})["n"], 5);
  // The text alone, and vectors out in every format.
  Json({"verbalize", "--av", At("av_known"), "--activations", At("plain.npy"), "--out", At("said.jsonl"), "--dtype",
        "fp32"});
  for (const char* name : {"w.npy", "w.safetensors", "w.jsonl", "w.parquet"}) {
    EXPECT_EQ(with({"reconstruct", "--input", At("said.jsonl"), "--out", At(name)})["rows"], 5) << name;
    EXPECT_EQ(ActivationReader::Open(*tiny_ / name).Next(9).size(), 5U) << name;
  }
}

TEST_F(PairCommands, TwoDirectoriesInPlaceOfAPair) {
  const std::vector<std::string> sides = {"--av", At("av_known"), "--ar", At("ar_whole")};
  const auto with = [&](std::vector<std::string> arguments, int code = 0) {
    arguments.insert(arguments.end(), sides.begin(), sides.end());
    return Json(arguments, code);
  };
  // Whole sides: only what reads activations of a text wants the base.
  EXPECT_EQ(with({"report", "--dataset", At("heldout.parquet"), "--dtype", "fp32"})["n"], 12);
  EXPECT_THAT(with({"explain", "--text", "the ship"}, 2)["error"]["message"].get<std::string>(),
              AllOf(HasSubstr("needs the base model"), HasSubstr("--base DIR")));
  const nlohmann::json explained = with({"explain", "--text", "the ship", "--base", At("base")});
  EXPECT_EQ(explained["layer"], kTinyLayer);
  EXPECT_TRUE(explained["tokens"][0]["fve_raw_variance"].is_null());
  EXPECT_EQ(with({"pair", "--out", At("pair_alone")})["layer"], kTinyLayer);
  EXPECT_EQ(Json({"score", "--pair", At("pair_alone"), "--input", At("heldout.parquet")})["n"], 12);
  EXPECT_EQ(Json({"verbalize", "--pair", At("pair_alone"), "--activations", At("heldout.parquet")})["rows"].size(),
            12U);
  EXPECT_EQ(with({"explain", "--pair", At("pair_alone"), "--text", "x"}, 2)["error"]["kind"], "usage");
  EXPECT_EQ(Json({"explain", "--av", At("av_known"), "--text", "x"}, 2)["error"]["kind"], "usage");
  EXPECT_EQ(Json({"score", "--input", At("heldout.parquet")}, 2)["error"]["kind"], "usage");
}

TEST_F(PairCommands, MergeAndCard) {
  Json({"pair", "--av", At("av"), "--ar", At("ar"), "--base", At("base"), "--out", At("pair_to_merge")});
  const nlohmann::json merged =
      Json({"merge", At("pair_to_merge"), At("merged"), "--dtype", "bf16", "--shard-size", "0.00005"});
  EXPECT_EQ(merged["av"]["merged"], true);
  EXPECT_EQ(merged["ar"]["blocks"], kTinyLayer + 1);
  EXPECT_GT(merged["av"]["files"], 1);
  EXPECT_TRUE(Json({"inspect", At("merged")})["problems"].empty());
  EXPECT_EQ(Json({"merge", At("av_whole"), At("again")})["merged"], false);
  const nlohmann::json report = Json({"report", "--pair", At("merged"), "--dataset", At("heldout.parquet")});
  WriteFileAtomically(*tiny_ / "report.json", report.dump());
  const nlohmann::json cards = Json({"card", At("merged"), "--report", At("report.json"), "--license", "mit"});
  EXPECT_EQ(cards["written"].size(), 3U);
  EXPECT_THAT(ReadFile(*tiny_ / "merged" / "README.md"), AllOf(HasSubstr("license: mit"), HasSubstr("| round trip |")));
  EXPECT_EQ(Json({"card", At("merged")}, 1)["error"]["kind"], "failed");
}

TEST_F(PairCommands, InspectEndsWithOneWhereSomethingIsWrong) {
  const nlohmann::json sound = Json({"inspect", At("av_whole")});
  EXPECT_EQ(sound["kind"], "verbalizer");
  EXPECT_TRUE(sound["problems"].empty());
  WriteFileAtomically(*tiny_ / "cut.safetensors", ReadFile(*tiny_ / "base" / "model.safetensors").substr(0, 5000));
  const nlohmann::json cut = Json({"inspect", At("cut.safetensors")}, 1);
  EXPECT_EQ(cut["kind"], "safetensors");
  ASSERT_EQ(cut["problems"].size(), 1U);
  EXPECT_THAT(cut["problems"][0].get<std::string>(), HasSubstr("cut.safetensors"));
  const RunResult plain = RunNla({"inspect", At("cut.safetensors")});
  EXPECT_EQ(plain.code, 1);
  EXPECT_THAT(plain.out, HasSubstr("  problem: "));
  EXPECT_EQ(plain.err, "");
  EXPECT_EQ(Json({"inspect", At("nothing")}, 1)["error"]["kind"], "failed");
}

TEST_F(PairCommands, FailuresAreOneDocumentToo) {
  EXPECT_THAT(Json({"verbalize", "--av", At("ar_whole"), "--activations", At("heldout.parquet")}, 1)["error"]["message"]
                  .get<std::string>(),
              AllOf(HasSubstr("ar_whole/nla_meta.yaml"), HasSubstr("role")));
  EXPECT_EQ(Json({"verbalize", "--av", At("av"), "--activations", At("heldout.parquet")}, 2)["error"]["kind"], "usage");
  EXPECT_EQ(Json({"explain", "--pair", At("nothing"), "--text", "x"}, 1)["error"]["kind"], "failed");
  EXPECT_EQ(Json({"reconstruct", "--ar", At("ar_whole")}, 2)["error"]["kind"], "usage");
  EXPECT_EQ(Json({"report", "--pair", At("x"), "--dataset", At("y"), "--n", "2"}, 2)["error"]["kind"], "usage");
  EXPECT_EQ(Json({"verbalize", "--av", "x", "--activations", "y", "--temperature", "-1"}, 2)["error"]["kind"], "usage");
}

}  // namespace
}  // namespace nla
