// Runs the stages one after another, and keeps what they print.
#include "cli/tiny_road_testing.h"

#include <gtest/gtest.h>

#include <fstream>

#include "model/tiny_checkpoint.h"

namespace nla {
namespace {

constexpr int kDocuments = 60;
constexpr int kWordsPerDocument = 30;

// A document of words that a label can name; the same for the same index.
std::string Document(unsigned index) {
  const char* const words[] = {"the",  "harbour", "master", "counted", "ships",   "at",       "dawn",  "while",
                               "rain", "fell",    "on",     "roofs",   "nobody",  "said",     "much",  "about",
                               "old",  "letters", "from",   "armies",  "station", "children", "river", "winter"};
  unsigned state = 7919 * (index + 1);
  std::string text;
  for (int i = 0; i < kWordsPerDocument; ++i) {
    state = state * 1103515245U + 12345U;
    text += std::string(i == 0 ? "" : " ") + words[(state >> 16) % std::size(words)];
  }
  return text + ".";
}

// A training section; a few steps show that the command works, not that the model learns.
std::string Section(const std::string& role, const std::string& folder) {
  const std::string& f = folder;
  return "train_" + role + ": {base_model: " + f + "/model, dataset: " + f + "/" + role + "_sft.parquet, out: " + f +
         "/runs/" + role +
         ", heldout_fraction: 0.2, lora: {rank: 4, alpha: 8}, lr: 1.0e-2, batch_size: 8, steps: 6, dtype: fp32}\n";
}

}  // namespace

nlohmann::json RunJson(std::vector<std::string> arguments) {
  arguments.push_back("--json");
  const RunResult run = RunNla(arguments);
  EXPECT_EQ(run.code, 0) << arguments[0] << ": " << run.err;
  EXPECT_TRUE(run.out.ends_with('\n'));
  nlohmann::json document = nlohmann::json::parse(run.out, nullptr, false);
  EXPECT_TRUE(document.is_object()) << arguments[0] << " printed: " << run.out;
  return document;
}

const TinyRoad& TinyRoad::Get() {
  static const TinyRoad road;
  return road;
}

void TinyRoad::WriteInputs() const {
  WriteTinyCheckpoint(folder_ / "model");
  std::ofstream corpus(folder_ / "corpus.jsonl");
  for (int i = 0; i < kDocuments; ++i) corpus << nlohmann::json{{"text", Document(i)}}.dump() << "\n";
  std::ofstream(folder_ / "actor.txt") << "V: <concept>{injection_char}</concept> ?";
  const std::string folder = folder_.path().string();
  std::ofstream(folder_ / "recipe.yaml") << Section("ar", folder) << Section("av", folder);
}

void TinyRoad::Stage(const std::string& name, const std::vector<std::string>& arguments) {
  results_[name] = RunJson(arguments);
}

TinyRoad::TinyRoad() {
  WriteInputs();
  const TinyRoad& at = *this;
  Stage("extract",
        {"extract", "--model", at / "model", "--corpus", at / "corpus.jsonl", "--corpus-name", "made-up", "--layer",
         "1", "--min-position", "10", "--positions-per-doc", "4", "--dtype", "fp32", "--out", at / "base.parquet"});
  Stage("split", {"split", "--input", at / "base.parquet", "--out-dir", at / "split", "--av", "0.4", "--ar", "0.4",
                  "--rl", "0.2"});
  for (const std::string stage : {"av_sft", "ar_sft"}) {
    const std::string explained = at / (stage + "_explained.parquet"), ordered = at / (stage + "_ordered.parquet");
    Stage("label " + stage,
          {"label", "--model", at / "model", "--input", at / ("split/" + stage + "_raw.parquet"), "--out", explained});
    Stage("build " + stage, {"build", "--stage", stage, "--model", at / "model", "--actor-template", at / "actor.txt",
                             "--input", explained, "--out", ordered});
    Stage("shuffle " + stage, {"shuffle", "--input", ordered, "--out", at / (stage + ".parquet")});
  }
  Stage("label rl",
        {"label", "--model", at / "model", "--input", at / "split/rl_raw.parquet", "--out", at / "heldout.parquet"});
  for (const std::string role : {"ar", "av"}) Stage("train " + role, {"train", role, at / "recipe.yaml"});
  Stage("pair", {"pair", "--av", at / "runs/av/final", "--ar", at / "runs/ar/final", "--base", at / "model",
                 "--dataset", at / "heldout.parquet", "--out", at / "pair"});
}

}  // namespace nla
