// Adapters in both directions with peft: it reads what is written here, and what it writes is read here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/scratch_testing.h"
#include "base/subprocess.h"
#include "model/decoder.h"
#include "model/lora.h"
#include "model/model_testing.h"

namespace nla {
namespace {

using ::nla::testing::Golden;
using ::nla::testing::GoldenIds;
using ::nla::testing::RelativeError;
using ::nla::testing::TinyLlama;

class PeftTest : public ::testing::Test {
 protected:
  static Decoder Load() { return Decoder::Load(Checkpoint::Open(TinyLlama()), {}); }

  // Runs the oracle; returns its ids and logits.
  SafetensorsFile Peft(const std::string& mode, const std::string& targets) {
    const fs::path out = scratch_ / "out.safetensors";
    const ProcessResult run =
        RunProcess({NLA_PYTHON, NLA_SOURCE_DIR "/tools/oracles/peft_adapters.py", mode, "--base", TinyLlama().string(),
                    "--adapters", (scratch_ / "adapters").string(), "--out", out.string(), "--targets", targets});
    EXPECT_EQ(run.exit_code, 0);
    return SafetensorsFile::Open(out);
  }
  void ExpectSame(const Decoder& decoder, const SafetensorsFile& oracle) {
    const at::Tensor ids = Golden(oracle, "ids");
    const at::Tensor logits =
        decoder.Logits(decoder.FinalNorm(decoder.Forward(decoder.Embed(ids), {0, {ids.size(0)}})));
    EXPECT_LT(RelativeError(logits, Golden(oracle, "logits")), 1e-5);  // fp32 on both sides
    const Decoder plain = Load();
    const at::Tensor bare = plain.Logits(plain.FinalNorm(plain.Forward(plain.Embed(ids), {0, {ids.size(0)}})));
    EXPECT_GT(RelativeError(bare, Golden(oracle, "logits")), 0.05) << "the adapters do nothing";
  }
  ScratchDirectory scratch_;
};

TEST_F(PeftTest, ReadsWhatIsWrittenHere) {
  Decoder decoder = Load();
  decoder.AddAdapters({.rank = 4, .alpha = 10}, 5);
  CounterRandom random(6, 0);
  for (NamedTensor& weight : decoder.AdapterWeights()) {
    float* values = weight.tensor.mutable_data_ptr<float>();
    for (int64_t i = 0; i < weight.tensor.numel(); ++i) values[i] = 0.2F * random.Normal();
  }
  std::filesystem::create_directories(scratch_ / "adapters");
  WriteAdapters(scratch_ / "adapters", decoder.lora(), "tiny", decoder.AdapterWeights(), at::kFloat);
  ExpectSame(decoder, Peft("read", ""));
}

TEST_F(PeftTest, WhatItWritesIsReadHere) {
  for (const std::string targets :
       {"q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj", "q_proj,v_proj", "mlp.down_proj"}) {
    std::filesystem::remove_all(scratch_ / "adapters");
    const SafetensorsFile oracle = Peft("write", targets);
    Decoder decoder = Load();
    decoder.LoadAdapters(scratch_ / "adapters");
    EXPECT_EQ(decoder.lora().rank, 3);
    ExpectSame(decoder, oracle);
  }
}

}  // namespace
}  // namespace nla
