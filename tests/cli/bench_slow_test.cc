// The benchmarks of the engine run both sides on the tiny checkpoint, which choose the same tokens.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/scratch_testing.h"
#include "cli/run_testing.h"
#include "model/tiny_checkpoint.h"

namespace nla {
namespace {

TEST(BenchEngine, BothSidesWriteTheSame) {
  const ScratchDirectory folder;
  const std::string model = (folder / "model").string();
  WriteTinyCheckpoint(model);
  for (const std::string mode : {"decode", "prefill"}) {
    std::vector<std::string> command = {"bench", mode, "--model", model, "--prompt-tokens", "7", "--rounds", "1"};
    for (const std::string word : {"--python", NLA_PYTHON, "--peers", NLA_SOURCE_DIR "/bench/peers", "--threads", "1",
                                   "--dtype", "fp32", "--json"}) {
      command.push_back(word);
    }
    if (mode == "decode") command.insert(command.end(), {"--batch", "3", "--tokens", "5"});
    const RunResult run = RunNla(command);
    ASSERT_EQ(run.code, 0) << run.err;
    const nlohmann::json document = nlohmann::json::parse(run.out);
    EXPECT_EQ(document["quant"], "none");
    EXPECT_GT(document["rows"][0]["ours"], 0);
    EXPECT_GT(document["rows"][0]["peer"], 0);
  }
}

TEST(BenchEngine, RefusesMoreThanTheModelReads) {
  const ScratchDirectory folder;
  const std::string model = (folder / "model").string();
  WriteTinyCheckpoint(model);
  const RunResult run = RunNla({"bench", "decode", "--model", model, "--prompt-tokens", "600"});
  EXPECT_EQ(run.code, 2);
  EXPECT_NE(run.err.find("at most 512 together"), std::string::npos) << run.err;
}

}  // namespace
}  // namespace nla
