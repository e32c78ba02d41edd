// Exported pairs in transformers: the same replies and vectors as here, on the tiny pair and on the demo's.
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

#include "base/file.h"
#include "base/scratch_testing.h"
#include "base/subprocess.h"
#include "data/activation_table.h"
#include "model/model_testing.h"
#include "model/smollm2_testing.h"
#include "nla/card.h"
#include "nla/export.h"
#include "nla/reconstructor.h"
#include "nla/tiny_pair_testing.h"
#include "nla/verbalizer.h"

namespace nla {
namespace {

constexpr int64_t kNewTokens = 24;

struct Work {
  std::vector<float> vectors;
  std::vector<std::string> texts;
};

std::vector<std::vector<TokenId>> Replies(const RoleSource& source, const std::vector<float>& vectors) {
  VerbalizeOptions options;
  options.sampling.max_new_tokens = kNewTokens;
  std::vector<std::vector<TokenId>> ids;
  for (const Verbalization& one : Verbalizer::Load(source).Run(vectors, options)) ids.push_back(one.ids);
  return ids;
}

class ExportedPair : public ::testing::Test {
 protected:
  // Runs the oracle on the exported pair and compares it with the pair as it was.
  void Compare(const PairLocation& pair, const fs::path& exported, const Work& work) {
    const RoleSource actor = pair.Actor(at::kFloat);
    const Reconstructor reconstructor = Reconstructor::Load(pair.Critic(at::kFloat));
    const int64_t d = reconstructor.d_model();
    nlohmann::json input = {{"texts", work.texts}, {"max_new_tokens", kNewTokens}, {"stop", "<|im_end|>"}};
    for (size_t begin = 0; begin < work.vectors.size(); begin += d) {
      input["vectors"].push_back(std::vector<float>(work.vectors.begin() + begin, work.vectors.begin() + begin + d));
    }
    WriteFileAtomically(scratch_ / "in.json", input.dump());
    const fs::path out = scratch_ / "out.safetensors";
    const ProcessResult run = RunProcess({NLA_PYTHON, NLA_SOURCE_DIR "/tools/oracles/exported_pair.py", "--av",
                                          (exported / "av").string(), "--ar", (exported / "ar").string(), "--input",
                                          (scratch_ / "in.json").string(), "--out", out.string()});
    ASSERT_EQ(run.exit_code, 0);
    const SafetensorsFile oracle = SafetensorsFile::Open(out);
    const std::vector<std::vector<TokenId>> replies = Replies(actor, work.vectors);
    for (size_t i = 0; i < replies.size(); ++i) {
      const TensorView* view = oracle.Find("ids." + std::to_string(i));
      ASSERT_NE(view, nullptr);
      std::vector<int64_t> ids(view->numel());
      std::memcpy(ids.data(), view->bytes.data(), view->bytes.size());
      EXPECT_EQ(replies[i], std::vector<TokenId>(ids.begin(), ids.end())) << "vector " << i;
      EXPECT_FALSE(ids.empty());
    }
    std::vector<float> vectors = reconstructor.Run(work.texts);
    const at::Tensor found = at::from_blob(vectors.data(), {static_cast<int64_t>(work.texts.size()), d}, at::kFloat);
    // Both sides in fp32; sums in another order, over up to 21 blocks.
    EXPECT_LT(nla::testing::RelativeError(found, nla::testing::Golden(oracle, "vectors")), 1e-3);
  }
  ScratchDirectory scratch_;
};

TEST_F(ExportedPair, TheTinyPairInTransformers) {
  const TinyPair tiny;
  const PairLocation pair = tiny.Assemble("pair", "av", "ar");
  ExportPair(pair, tiny / "out", {.store = DType::kF32, .shard_bytes = 50'000});
  Compare(pair, tiny / "out", {RandomVectors(4, 9), {"one", "", "Ends with \"rain\"."}});
}

// The Python block of a card, run where the card lies; what it printed.
std::string RunSnippet(const fs::path& directory) {
  const std::string card = ModelCard(directory, {});
  const std::string open = "```python\n";
  const size_t begin = card.find(open) + open.size();
  WriteFileAtomically(directory / "snippet.py", card.substr(begin, card.find("```", begin) - begin));
  const ProcessResult run = RunProcess({"env", "-C", directory.string(), NLA_PYTHON, "snippet.py"});
  EXPECT_EQ(run.exit_code, 0);
  return run.output;
}

TEST_F(ExportedPair, TheSnippetsOfTheCardsRun) {
  const TinyPair tiny;
  ExportRole(tiny.Source("av_known"), tiny / "out_av", {});
  const std::vector<float> vector = RandomVectors(1, 9);
  WriteFileAtomically(scratch_ / "v.json", nlohmann::json(vector).dump());
  const std::string save = fmt::format("import json, torch; torch.save(torch.tensor(json.load(open('{}'))), '{}')",
                                       (scratch_ / "v.json").string(), (tiny / "out_av/activation.pt").string());
  ASSERT_EQ(RunProcess({NLA_PYTHON, "-c", save}).exit_code, 0);
  EXPECT_EQ(RunSnippet(tiny / "out_av"), KnownExplanation(vector.data()) + "\n");

  ExportRole(tiny.Source("ar"), tiny / "out_ar", {});
  std::istringstream printed(RunSnippet(tiny / "out_ar"));
  const std::vector<std::string> text = {"Ends with \"late\"."};
  for (const float wanted : Reconstructor::Load(tiny.Source("ar")).Run(text)) {
    double found = 0;
    ASSERT_TRUE(printed >> found);
    EXPECT_NEAR(found, wanted, 1e-3);
  }
}

TEST_F(ExportedPair, TheDemosPairInTransformers) {
  const fs::path root = NLA_SOURCE_DIR;
  const PairLocation pair = FindPair(root / "demo/pair", nla::testing::SmolLm2Directory());
  ExportPair(pair, scratch_ / "out", {.store = DType::kF32, .shard_bytes = 200'000'000});
  ActivationReader reader = ActivationReader::Open(root / "demo/heldout.parquet");
  Work work;
  for (const ActivationRow& row : reader.Next(3)) {
    work.vectors.insert(work.vectors.end(), row.activation.begin(), row.activation.end());
    work.texts.push_back(row.explanation.empty() ? "Ends with \"rain\", after \"the\"." : row.explanation);
  }
  Compare(pair, scratch_ / "out", work);
}

}  // namespace
}  // namespace nla
