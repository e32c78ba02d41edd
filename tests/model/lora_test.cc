// Adapters on disk: a round trip, and every kind of directory that must not be loaded.
#include "model/lora.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error_testing.h"
#include "base/random.h"
#include "base/scratch_testing.h"
#include "model/decoder.h"
#include "model/model_testing.h"
#include "model/tensor_io.h"

namespace nla {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::TinyLlama;

constexpr LoraSpec kLora{.rank = 4, .alpha = 10};

class LoraTest : public ::testing::Test {
 protected:
  LoraTest() {
    decoder_.AddAdapters(kLora, 5);
    CounterRandom random(6, 0);
    for (NamedTensor& weight : decoder_.AdapterWeights()) {
      float* values = weight.tensor.mutable_data_ptr<float>();
      for (int64_t i = 0; i < weight.tensor.numel(); ++i) values[i] = random.Normal();
    }
    Write(decoder_.AdapterWeights());
  }

  static Decoder Load(std::optional<int64_t> blocks = {}) {
    return Decoder::Load(Checkpoint::Open(TinyLlama()), {.blocks = blocks, .with_head = !blocks});
  }
  void Write(const std::vector<NamedTensor>& tensors) {
    WriteAdapters(scratch_.path(), kLora, "tiny", tensors, at::kFloat);
  }
  std::string Refused() {
    Decoder decoder = Load();
    return Refusal([&] { decoder.LoadAdapters(scratch_.path()); });
  }
  // What loading says when adapter_config.json has this value.
  std::string RefusedWith(const std::string& key, const nlohmann::json& value) {
    const auto path = scratch_ / "adapter_config.json";
    std::ifstream in(path);
    nlohmann::json config = nlohmann::json::parse(in);
    const nlohmann::json before = config;
    config[key] = value;
    std::ofstream(path) << config;
    std::string message = Refused();
    std::ofstream(path) << before;
    return message;
  }

  ScratchDirectory scratch_;
  Decoder decoder_ = Load();
};

TEST_F(LoraTest, ComesBackAsItWas) {
  EXPECT_TRUE(HasAdapters(scratch_.path()));
  EXPECT_EQ(ReadLoraSpec(scratch_.path()).rank, 4);
  EXPECT_EQ(ReadLoraSpec(scratch_.path()).alpha, 10);
  EXPECT_EQ(ReadLoraSpec(scratch_.path()).scale(), 2.5);
  Decoder loaded = Load();
  loaded.LoadAdapters(scratch_.path());
  const std::vector<NamedTensor> found = loaded.AdapterWeights();
  const std::vector<NamedTensor> wanted = decoder_.AdapterWeights();
  ASSERT_EQ(found.size(), 3U * kLinearsPerBlock * 2);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].name, wanted[i].name);
    EXPECT_TRUE(at::equal(found[i].tensor, wanted[i].tensor)) << found[i].name;
  }
  EXPECT_EQ(found[0].name, "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight");
  EXPECT_EQ(found.back().name, "base_model.model.model.layers.2.mlp.down_proj.lora_B.weight");
}

TEST_F(LoraTest, FewerBlocksTakeTheirPart) {
  Decoder cut = Load(2);
  cut.LoadAdapters(scratch_.path());
  EXPECT_EQ(cut.AdapterWeights().size(), 2U * kLinearsPerBlock * 2);
  EXPECT_TRUE(at::equal(cut.AdapterWeights().back().tensor, decoder_.AdapterWeights()[27].tensor));
}

TEST_F(LoraTest, RefusesAMissingTensor) {
  std::vector<NamedTensor> tensors = decoder_.AdapterWeights();
  tensors.erase(tensors.begin() + 17);
  Write(tensors);
  EXPECT_THAT(Refused(), AllOf(HasSubstr("adapter_model.safetensors: tensor base_model.model.model.layers.1."),
                               HasSubstr("is missing"), HasSubstr("both factors in every block")));
}

TEST_F(LoraTest, ReadsNamesWithThePeftAdaptersName) {
  std::vector<NamedTensor> tensors = decoder_.AdapterWeights();
  for (NamedTensor& tensor : tensors) tensor.name.insert(tensor.name.rfind(".weight"), ".default");
  Write(tensors);
  Decoder loaded = Load();
  loaded.LoadAdapters(scratch_.path());
  EXPECT_TRUE(at::equal(loaded.AdapterWeights()[9].tensor, tensors[9].tensor));
}

TEST_F(LoraTest, ReadsAdaptersOfSomeLinearsAlone) {
  std::vector<NamedTensor> tensors;
  for (const NamedTensor& tensor : decoder_.AdapterWeights()) {
    if (tensor.name.find("q_proj") != std::string::npos || tensor.name.find("up_proj") != std::string::npos) {
      tensors.push_back(tensor);
    }
  }
  Write(tensors);
  Decoder loaded = Load();
  loaded.LoadAdapters(scratch_.path());
  ASSERT_EQ(loaded.AdapterWeights().size(), 3U * 2 * 2);
  for (size_t i = 0; i < tensors.size(); ++i) EXPECT_EQ(loaded.AdapterWeights()[i].name, tensors[i].name);
  // The same file under a config that speaks of more is not whole.
  EXPECT_THAT(RefusedWith("target_modules", {"q_proj", "up_proj", "v_proj"}),
              AllOf(HasSubstr("no adapters of v_proj"), HasSubstr("target_modules")));
}

TEST_F(LoraTest, RefusesAdaptersThatItWouldLose) {
  for (const char* name :
       {"base_model.model.lm_head.lora_A.weight", "base_model.model.model.embed_tokens.lora_embedding_A",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
        "base_model.model.model.layers.x.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.mlp.router.lora_A.weight"}) {
    std::vector<NamedTensor> tensors = decoder_.AdapterWeights();
    tensors.push_back({name, tensors[0].tensor});
    Write(tensors);
    EXPECT_THAT(Refused(), AllOf(HasSubstr(name), HasSubstr("is not an adapter of a block's linear"))) << name;
  }
  Write({});
  EXPECT_THAT(Refused(), HasSubstr("holds no adapters"));
}

TEST_F(LoraTest, RefusesAnotherRankThanTheTensors) {
  EXPECT_THAT(RefusedWith("r", 8), AllOf(HasSubstr("adapter_model.safetensors: base_model.model.model.layers.0"),
                                         HasSubstr("found [4, 64]"), HasSubstr("wanted [8, 64]")));
}

TEST_F(LoraTest, RefusesArithmeticThatItDoesNotDo) {
  EXPECT_EQ(Refused(), "accepted");
  EXPECT_THAT(RefusedWith("use_rslora", true),
              AllOf(HasSubstr("adapter_config.json: use_rslora is not supported"), HasSubstr("found true")));
  EXPECT_THAT(RefusedWith("use_dora", true), HasSubstr("use_dora"));
  EXPECT_THAT(RefusedWith("bias", "all"), HasSubstr("bias is not supported"));
  EXPECT_THAT(RefusedWith("fan_in_fan_out", true), HasSubstr("fan_in_fan_out"));
  EXPECT_THAT(RefusedWith("peft_type", "IA3"), HasSubstr("peft_type"));
  EXPECT_THAT(RefusedWith("rank_pattern", {{"q_proj", 8}}), HasSubstr("rank_pattern"));
  EXPECT_THAT(RefusedWith("alpha_pattern", {{"q_proj", 8}}), HasSubstr("alpha_pattern"));
  for (const char* key : {"modules_to_save", "trainable_token_indices", "layers_to_transform"}) {
    EXPECT_THAT(RefusedWith(key, {"lm_head"}), HasSubstr(key));
    EXPECT_EQ(RefusedWith(key, nullptr), "accepted");
  }
  EXPECT_THAT(RefusedWith("lora_bias", true), HasSubstr("lora_bias is not supported"));
  EXPECT_EQ(RefusedWith("use_rslora", nullptr), "accepted");
}

TEST_F(LoraTest, RefusesUnsoundNumbers) {
  for (const nlohmann::json& rank : {nlohmann::json(0), nlohmann::json(-4), nlohmann::json(4.5), nlohmann::json("4"),
                                     nlohmann::json(), nlohmann::json(1 << 20)}) {
    EXPECT_THAT(RefusedWith("r", rank), HasSubstr("adapter_config.json: r: found")) << rank;
  }
  for (const nlohmann::json& alpha : {nlohmann::json(0), nlohmann::json(-1), nlohmann::json("x"), nlohmann::json()}) {
    EXPECT_THAT(RefusedWith("lora_alpha", alpha), HasSubstr("adapter_config.json: lora_alpha: found")) << alpha;
  }
}

TEST_F(LoraTest, RefusesDamagedFiles) {
  const auto path = scratch_ / "adapter_model.safetensors";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  EXPECT_THAT(Refused(), HasSubstr("adapter_model.safetensors"));
  std::filesystem::remove(path);
  EXPECT_THAT(Refused(), HasSubstr("adapter_model.safetensors"));
  for (const char* text : {"", "{", "[]", "{\"r\": 4"}) {
    std::ofstream(scratch_ / "adapter_config.json") << text;
    EXPECT_THAT(Refused(), HasSubstr("adapter_config.json: not a JSON object")) << text;
  }
  std::filesystem::remove(scratch_ / "adapter_config.json");
  EXPECT_FALSE(HasAdapters(scratch_.path()));
}

}  // namespace
}  // namespace nla
