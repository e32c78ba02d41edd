// nla_meta.yaml of checkpoints: both versions, both namings, what is written, and what is refused.
#include "nla/sidecar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "nla/error.h"

namespace nla {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class SidecarTest : public testing::Test {
 protected:
  SidecarTest() {
    std::string pattern = testing::TempDir() + "sidecarXXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~SidecarTest() override { fs::remove_all(directory_); }

  ModelSidecar Read(const std::string& yaml) {
    std::ofstream(directory_ / "nla_meta.yaml") << yaml;
    return ReadModelSidecar(directory_);
  }
  std::string Refusal(const std::string& yaml) {
    try {
      Read(yaml);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr((directory_ / "nla_meta.yaml").string()));
      return error.what();
    }
    return "accepted";
  }

  fs::path directory_;
};

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return text.replace(at, from.size(), to);
}

const char kActorV2[] = R"(kind: nla_model
schema_version: 2
role: av
stage: rl
base_checkpoint: Qwen/Qwen2.5-7B-Instruct
d_model: 3584
extraction: {injection_scale: 150.0, mse_scale: 59.87}
tokens:
  injection_char: "㈎"
  injection_token_id: 149705
  injection_left_neighbor_id: 29
  injection_right_neighbor_id: 522
  critic_suffix_ids: [1318, 29, 366, 1708, 29]
prompt_templates:
  av: "Vector: <concept>{injection_char}</concept>"
  ar: "Summary of the following text: <text>{explanation}</text> <summary>"
critic: {extraction_layer_index: 20}
trained_on: [rl_abc]
parent_checkpoints: [a, b]
created_at: 2025-05-01T10:00:00+00:00
created_by: somebody
training: {optimizer: {lr: 1.0e-05, betas: [0.9, 0.95]}, epochs: 1}
)";

const char kCriticV1[] = R"(kind: nla_model
schema_version: 1
role: critic
d_model: 576
extraction: {injection_scale: null}
prompt_templates: {critic: "<text>{explanation}</text> <summary>"}
ar: {num_hidden_layers: 20}
)";

TEST_F(SidecarTest, ReadsVersion2WithAvArNames) {
  const ModelSidecar s = Read(kActorV2);
  EXPECT_EQ(s.schema_version, 2);
  EXPECT_EQ(s.role, Role::kActor);
  EXPECT_EQ(s.stage, "rl");
  EXPECT_EQ(s.base_checkpoint, "Qwen/Qwen2.5-7B-Instruct");
  EXPECT_EQ(s.d_model, 3584);
  EXPECT_EQ(s.injection_scale.Resolve(s.d_model), 150.0);
  EXPECT_EQ(s.mse_scale.Resolve(s.d_model), 59.87);
  ASSERT_TRUE(s.tokens);
  EXPECT_EQ(*s.tokens, (TokenFacts{"㈎", 149705, 29, 522, {1318, 29, 366, 1708, 29}}));
  EXPECT_EQ(s.actor_template, "Vector: <concept>{injection_char}</concept>");
  EXPECT_EQ(s.critic_template, "Summary of the following text: <text>{explanation}</text> <summary>");
  EXPECT_EQ(s.layer, 20);
  EXPECT_THAT(s.trained_on, testing::ElementsAre("rl_abc"));
  EXPECT_THAT(s.parent_checkpoints, testing::ElementsAre("a", "b"));
  EXPECT_EQ(s.created_at, "2025-05-01T10:00:00+00:00");
  EXPECT_THAT(s.training,
              testing::ElementsAre(testing::Pair("optimizer.lr", "1.0e-05"),
                                   testing::Pair("optimizer.betas", "[0.9, 0.95]"), testing::Pair("epochs", "1")));
  EXPECT_EQ(s.injection_rule, InjectionRule::kReplace);
}

TEST_F(SidecarTest, ReadsVersion1WhereNumHiddenLayersMeansK) {
  const ModelSidecar s = Read(kCriticV1);
  EXPECT_EQ(s.role, Role::kCritic);
  EXPECT_EQ(s.layer, 20);
  EXPECT_FALSE(s.tokens);
  EXPECT_EQ(s.injection_scale.Resolve(576), std::nullopt);
  EXPECT_EQ(s.mse_scale.Resolve(576), 24.0);  // absent: sqrt_d_model
  EXPECT_EQ(s.critic_template, "<text>{explanation}</text> <summary>");
}

TEST_F(SidecarTest, ReadsTheOtherSpellings) {
  std::string text = Replaced(kActorV2, "role: av", "role: actor");
  text = Replaced(text, "  av: ", "  actor: ");
  text = Replaced(text, "  ar: ", "  critic: ");
  text = Replaced(text, "critic: {extraction_layer_index", "ar: {extraction_layer_index");
  text = Replaced(text, "[1318, 29, 366, 1708, 29]", "null");
  const ModelSidecar s = Read(text);
  EXPECT_EQ(s.role, Role::kActor);
  EXPECT_EQ(s.actor_template, "Vector: <concept>{injection_char}</concept>");
  EXPECT_THAT(s.critic_template, HasSubstr("{explanation}"));
  EXPECT_EQ(s.layer, 20);
  EXPECT_THAT(s.tokens->critic_suffix_ids, testing::IsEmpty());
  EXPECT_EQ(Read(Replaced(kCriticV1, "role: critic", "role: ar")).role, Role::kCritic);
}

TEST_F(SidecarTest, ReadsEveryScaleSpelling) {
  const auto scale = [&](const std::string& spelling) {
    return Read(Replaced(kActorV2, "injection_scale: 150.0", "injection_scale: " + spelling))
        .injection_scale.Resolve(4);
  };
  EXPECT_EQ(scale("80000"), 80000.0);
  EXPECT_EQ(scale("'1.5e2'"), 150.0);
  EXPECT_EQ(scale("sqrt_d_model"), 2.0);
  EXPECT_EQ(scale("null"), std::nullopt);
  EXPECT_EQ(scale("raw"), std::nullopt);
  EXPECT_EQ(scale("none"), std::nullopt);
}

TEST_F(SidecarTest, RefusesWithFileFieldAndValue) {
  const auto without = [](const char* text) { return Replaced(kActorV2, text, ""); };
  EXPECT_THAT(Refusal(without("kind: nla_model\n")), HasSubstr("kind: is missing"));
  EXPECT_THAT(Refusal(Replaced(kActorV2, "nla_model", "nla_dataset")),
              AllOf(HasSubstr("nla_dataset"), HasSubstr("point at a checkpoint directory")));
  EXPECT_THAT(Refusal(Replaced(kActorV2, "schema_version: 2", "schema_version: 3")), HasSubstr("1 or 2"));
  EXPECT_THAT(Refusal(Replaced(kActorV2, "role: av", "role: judge")), AllOf(HasSubstr("role"), HasSubstr("\"judge\"")));
  EXPECT_THAT(Refusal(Replaced(kActorV2, "d_model: 3584", "d_model: -1")), HasSubstr("d_model: is not a sound number"));
  EXPECT_THAT(Refusal(without("d_model: 3584\n")), HasSubstr("d_model: is missing"));
  EXPECT_THAT(Refusal(without("injection_scale: 150.0, ")), HasSubstr("extraction.injection_scale: is missing"));
  EXPECT_THAT(Refusal(without("extraction: {injection_scale: 150.0, mse_scale: 59.87}\n")),
              HasSubstr("extraction.injection_scale: is missing"));
  for (const char* scale : {"0", "-3", "nan", "inf", "big", "''", "[1]"}) {
    EXPECT_THAT(Refusal(Replaced(kActorV2, "injection_scale: 150.0", std::string("injection_scale: ") + scale)),
                HasSubstr("extraction.injection_scale: is not a scale"))
        << scale;
  }
  EXPECT_THAT(Refusal(without("  injection_token_id: 149705\n")), HasSubstr("tokens.injection_token_id: is missing"));
  EXPECT_THAT(Refusal(Replaced(kActorV2, "149705", "14970.5")), HasSubstr("found \"14970.5\""));
  EXPECT_THAT(Refusal(Replaced(kActorV2, "149705", "99999999999")), HasSubstr("tokens.injection_token_id"));
  EXPECT_THAT(Refusal(Replaced(kActorV2, "[1318,", "[x,")), HasSubstr("tokens.critic_suffix_ids"));
  EXPECT_THAT(Refusal(Replaced(kActorV2, "{injection_char}", "X")), HasSubstr("prompt_templates.av"));
  EXPECT_THAT(Refusal(Replaced(kCriticV1, "{critic: \"<text>{explanation}</text> <summary>\"}", "{}")),
              HasSubstr("prompt_templates.critic: is missing"));
  EXPECT_THAT(Refusal(Replaced(kActorV2, "extraction_layer_index: 20", "extraction_layer_index: -2")),
              HasSubstr("critic.extraction_layer_index"));
  EXPECT_THAT(Refusal(std::string(kActorV2) + "nla_cpp: {injection_rule: swap}\n"), HasSubstr("replace or add"));
  EXPECT_THAT(Refusal("- a\n- b\n"), HasSubstr("not a YAML mapping"));
  EXPECT_THAT(Refusal("kind: [nla_model"), HasSubstr("is not YAML"));
  EXPECT_THAT(Refusal(""), HasSubstr("not a YAML mapping"));
}

TEST_F(SidecarTest, EveryTruncationIsReadOrRefused) {
  const std::string whole = kActorV2;
  for (size_t length = 0; length < whole.size(); length += 3) {
    try {
      Read(whole.substr(0, length));
    } catch (const Error&) {
    }
  }
}

TEST_F(SidecarTest, MissingFileSaysWhatTheDirectoryIsNot) {
  try {
    ReadModelSidecar(directory_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("not an NLA checkpoint"));
  }
}

ModelSidecar Example() {
  ModelSidecar s;
  s.role = Role::kActor;
  s.stage = "av_sft";
  s.base_checkpoint = "HuggingFaceTB/SmolLM2-135M-Instruct";
  s.d_model = 576;
  s.injection_scale = {.kind = Scale::Kind::kNumber, .number = 250};
  s.tokens = TokenFacts{"א", 6168, 46, 716, {1234, 5}};
  s.actor_template = "A \"vector\":\n\n<concept>{injection_char}</concept>\n\tEnd. ";
  s.critic_template = "Summary of the following text: <text>{explanation}</text> <summary>";
  s.layer = 20;
  s.trained_on = {"av_sft_x", "yes"};
  s.created_at = "2025-01-02T03:04:05+00:00";
  s.created_by = "nla 0.1.0 train av";
  s.training = {{"learning_rate", "1.0e-05"}, {"lora.rank", "16"}, {"note", "a: b # c"}};
  s.injection_rule = InjectionRule::kAdd;
  s.base_weights_hash = "00123";
  s.tokenizer_hash = "abc";
  s.extra = {{"fve_raw_variance", "0.31"}, {"tool", "nla 0.1.0"}};
  return s;
}

// As PyYAML writes the published verbalizers' sidecars: escapes, folded texts, K outside of any section, unknown keys.
TEST_F(SidecarTest, ReadsAPublishedVerbalizer) {
  const ModelSidecar s = Read(R"(kind: nla_model
schema_version: 2
role: av
stage: rl
base_checkpoint: Qwen/Qwen2.5-7B-Instruct
d_model: 3584
extraction:
  injection_scale: 150.0
  mse_scale: 59.866518188383065
tokens:
  injection_char: "\u320E"
  injection_token_id: 149705
  injection_left_neighbor_id: 29
  injection_right_neighbor_id: 522
  critic_suffix_ids: null
prompt_templates:
  av: "Here is a vector that stands for something:\n\n<concept>{injection_char}</concept>\n\
    \nSay what it means, inside <explanation> tags."
  ar: 'Summary of the following text: <text>{explanation}</text>
    <summary>'
trained_on:
- a public corpus
parent_checkpoints:
- Qwen/Qwen2.5-7B-Instruct
created_at: '2026-02-01T09:08:07.123456+00:00'
created_by: nla.train_actor
training:
  lr: 1.0e-05
  flags: [a, b]
extraction_layer_index: 20
)");
  EXPECT_EQ(s.role, Role::kActor);
  EXPECT_EQ(s.layer, 20);
  EXPECT_EQ(s.tokens->injection_char, "㈎");
  EXPECT_TRUE(s.tokens->critic_suffix_ids.empty());
  EXPECT_EQ(s.actor_template,
            "Here is a vector that stands for something:\n\n<concept>{injection_char}</concept>\n\nSay what it means, "
            "inside <explanation> tags.");
  EXPECT_EQ(s.critic_template, "Summary of the following text: <text>{explanation}</text> <summary>");
  EXPECT_NEAR(*s.mse_scale.Resolve(3584), std::sqrt(3584.0), 1e-9);
}

TEST_F(SidecarTest, LayersInTwoPlacesMustAgree) {
  EXPECT_EQ(Read(std::string(kActorV2) + "extraction_layer_index: 20\n").layer, 20);
  EXPECT_THAT(Refusal(std::string(kActorV2) + "extraction_layer_index: 21\n"),
              AllOf(HasSubstr("extraction_layer_index: is another layer"), HasSubstr("found \"21\", wanted 20")));
}

TEST_F(SidecarTest, WhatIsWrittenReadsBack) {
  const ModelSidecar wrote = Example();
  WriteModelSidecar(directory_, wrote);
  const ModelSidecar s = ReadModelSidecar(directory_);
  EXPECT_EQ(s.schema_version, 2);
  EXPECT_EQ(s.role, wrote.role);
  EXPECT_EQ(s.stage, wrote.stage);
  EXPECT_EQ(s.base_checkpoint, wrote.base_checkpoint);
  EXPECT_EQ(s.d_model, wrote.d_model);
  EXPECT_EQ(s.injection_scale.Resolve(576), 250.0);
  EXPECT_EQ(s.mse_scale.Resolve(576), 24.0);
  EXPECT_EQ(s.tokens, wrote.tokens);
  EXPECT_EQ(s.actor_template, wrote.actor_template);
  EXPECT_EQ(s.critic_template, wrote.critic_template);
  EXPECT_EQ(s.layer, wrote.layer);
  EXPECT_EQ(s.trained_on, wrote.trained_on);
  EXPECT_EQ(s.parent_checkpoints, wrote.parent_checkpoints);
  EXPECT_EQ(s.created_at, wrote.created_at);
  EXPECT_EQ(s.created_by, wrote.created_by);
  EXPECT_EQ(s.training, wrote.training);
  EXPECT_EQ(s.injection_rule, wrote.injection_rule);
  EXPECT_EQ(s.base_weights_hash, wrote.base_weights_hash);
  EXPECT_EQ(s.tokenizer_hash, wrote.tokenizer_hash);
  EXPECT_EQ(s.extra, wrote.extra);
}

TEST_F(SidecarTest, ATimeOfCreationIsFilledIn) {
  ModelSidecar s = Example();
  s.created_at = "";
  WriteModelSidecar(directory_, s);
  EXPECT_THAT(ReadModelSidecar(directory_).created_at, testing::MatchesRegex("20..-..-..T..:..:..\\+00:00"));
}

TEST_F(SidecarTest, AnIndependentReaderAcceptsBothRoles) {
  const std::string command =
      std::string(NLA_PYTHON) + " " NLA_SOURCE_DIR "/tests/nla/check_sidecar.py " + directory_.string();
  ModelSidecar s = Example();
  WriteModelSidecar(directory_, s);
  EXPECT_EQ(std::system(command.c_str()), 0);
  s.role = Role::kCritic;
  s.tokens->critic_suffix_ids.clear();
  WriteModelSidecar(directory_, s);
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace nla
