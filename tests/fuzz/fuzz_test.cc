// Every target over its corpus and some thousand mutations of it: no crash, and nothing thrown but nla::Error.
// Long runs: tools/fuzz.sh.
#include <gtest/gtest.h>

#include "base/file.h"
#include "fuzz/campaign_testing.h"
#include "fuzz/mutator_testing.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

const fs::path kCorpus = NLA_SOURCE_DIR "/tests/fuzz/corpus";
constexpr uint64_t kExecutions = 2000;

class Fuzz : public testing::TestWithParam<const char*> {};

TEST_P(Fuzz, ThrowsNothingButErrors) {
  const FuzzTarget* target = FindFuzzTarget(GetParam());
  ASSERT_NE(target, nullptr);
  const CampaignResult result = RunCampaign(*target, {.corpus = kCorpus, .seed = 7, .count = kExecutions});
  EXPECT_EQ(result.failure, "");
  EXPECT_EQ(result.executions, kExecutions);
  // A mutator that breaks everything, or a target that takes everything, tests nothing.
  EXPECT_GT(result.accepted, kExecutions / 200);
  EXPECT_LT(result.accepted, kExecutions);
}

TEST_P(Fuzz, WholeSeedsAreAccepted) {
  const FuzzTarget* target = FindFuzzTarget(GetParam());
  for (const std::string& seed : ReadCorpus(kCorpus / GetParam())) {
    EXPECT_EQ(RunFuzzTarget(*target, seed), FuzzVerdict::kAccepted) << seed.substr(0, 200);
  }
}

// Inputs that once did harm, each named for what it did.
TEST_P(Fuzz, OldFindingsStayMended) {
  const fs::path folder = fs::path(NLA_SOURCE_DIR "/tests/fuzz/findings") / GetParam();
  if (!fs::exists(folder)) return;
  for (const std::string& finding : ReadCorpus(folder)) RunFuzzTarget(*FindFuzzTarget(GetParam()), finding);
}

INSTANTIATE_TEST_SUITE_P(Targets, Fuzz,
                         testing::Values("safetensors", "gguf", "tokenizer", "chat_template", "model_sidecar",
                                         "dataset_sidecar", "npy", "npz", "jsonl", "parquet"));

TEST(Mutator, SameSeedSameInputs) {
  const std::string_view dictionary[] = {"token"};
  Mutator a(3, dictionary);
  Mutator b(3, dictionary);
  Mutator c(4, dictionary);
  int different = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string mutated = a.Mutate("some text of 12 words", "another");
    EXPECT_EQ(mutated, b.Mutate("some text of 12 words", "another"));
    different += mutated != c.Mutate("some text of 12 words", "another");
  }
  EXPECT_GT(different, 80);
}

}  // namespace
}  // namespace nla
