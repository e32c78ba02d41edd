#include "nla/actor_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_testing.h"
#include "nla/tiny_pair_testing.h"
#include "nla/verbalizer.h"

namespace nla {
namespace {

using testing::HasSubstr;

TEST(ActorInputsTest, PromptsAreTheVerbalizersBitForBit) {
  const TinyPair tiny;
  std::vector<float> vectors = RandomVectors(4, 1);
  vectors.resize(5 * kTinyWidth, 0.0F);
  for (const InjectionRule rule : {InjectionRule::kReplace, InjectionRule::kAdd}) {
    for (const char* side : {"av", "av_whole"}) {
      EditSidecar(tiny / side, [&](ModelSidecar& sidecar) { sidecar.injection_rule = rule; });
      for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
        RoleSource source = tiny.Source(side);
        source.compute = compute;
        const Verbalizer verbalizer = Verbalizer::Load(source);
        const ActorInputs inputs = ActorInputs::Load(source);
        EXPECT_EQ(inputs.StopIds(), verbalizer.StopIds());
        for (int64_t i = 0; i < 5; ++i) {
          const std::span<const float> vector(vectors.data() + i * kTinyWidth, kTinyWidth);
          const at::Tensor wanted = verbalizer.PromptRows(vector).contiguous();
          const std::vector<float> rows = inputs.PromptRows(vector);
          ASSERT_EQ(wanted.numel(), static_cast<int64_t>(rows.size()));
          EXPECT_TRUE(std::equal(rows.begin(), rows.end(), wanted.const_data_ptr<float>())) << side << " " << i;
        }
      }
    }
  }
}

TEST(ActorInputsTest, PromptsSayTheDayOfTraining) {
  const TinyPair tiny;
  EditJson(tiny / "av_whole/tokenizer_config.json", [](nlohmann::json& config) {
    config["chat_template"] = "{{ strftime_now('%d %b %Y') }} " + config["chat_template"].get<std::string>();
  });
  EditSidecar(tiny / "av_whole", [](ModelSidecar& s) { s.extra.emplace_back(kChatDateFact, "2025-01-31"); });
  const std::vector<float> vector = RandomVectors(1, 1);
  const at::Tensor wanted = Verbalizer::Load(tiny.Source("av_whole")).PromptRows(vector).contiguous();
  const std::vector<float> rows = ActorInputs::Load(tiny.Source("av_whole")).PromptRows(vector);
  ASSERT_EQ(wanted.numel(), static_cast<int64_t>(rows.size()));
  EXPECT_TRUE(std::equal(rows.begin(), rows.end(), wanted.const_data_ptr<float>()));
}

TEST(ActorInputsTest, ChecksWhatTheVerbalizerChecks) {
  const TinyPair tiny;
  EXPECT_THAT(Refusal([&] { ActorInputs::Load(tiny.Source("ar")); }), HasSubstr("other side"));
  EditText(tiny / "base/tokenizer.json", "\"version\"", "\"version\" ");
  EXPECT_THAT(Refusal([&] { ActorInputs::Load(tiny.Source("av")); }), HasSubstr("another tokenizer"));
}

TEST(ActorInputsTest, TakesScaledFamilies) {
  const TinyPair tiny;
  // Another family over the same embedding table: its rows are scaled. Blocks are not looked at.
  EditJson(tiny / "av_whole/config.json", [](nlohmann::json& config) {
    config["model_type"] = "gemma3_text";
    config["architectures"] = {"Gemma3ForCausalLM"};
    config["hidden_activation"] = "gelu_pytorch_tanh";
    config["query_pre_attn_scalar"] = 16;
    config["sliding_window"] = 8;
    config["layer_types"] = nlohmann::json::array({"full_attention", "full_attention", "full_attention"});
  });
  const ActorInputs scaled = ActorInputs::Load(tiny.Source("av_whole"));
  const TinyPair plain_tiny;
  const ActorInputs plain = ActorInputs::Load(plain_tiny.Source("av_whole"));
  const std::vector<float> vector = RandomVectors(1, 2);
  const std::vector<float> rows = scaled.PromptRows(vector);
  const std::vector<float> unscaled = plain.PromptRows(vector);
  EXPECT_FLOAT_EQ(rows[3], unscaled[3] * 8);  // the root of 64
  const int64_t last = scaled.prompt_tokens() - 1;
  EXPECT_FLOAT_EQ(rows[last * kTinyWidth], unscaled[last * kTinyWidth] * 8);
}

}  // namespace
}  // namespace nla
