// Prompts and the marker search against transformers' golden (tools/goldens/prompts.py), and what they refuse.
#include "nla/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "nla/error.h"

namespace nla {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

const std::string kGolden = NLA_SOURCE_DIR "/tests/nla/golden/prompts/";

// One tokenizer of the golden with what transformers says about it.
struct Case {
  explicit Case(const std::string& name)
      : tokenizer(Tokenizer::Load(kGolden + name)), chat(ChatFormat::Load(kGolden + name)) {
    std::ifstream in(kGolden + "prompts.json");
    const auto golden = nlohmann::json::parse(in);
    actor = golden["actor_template"];
    critic = golden["critic_template"];
    explanation = golden["explanation"];
    expected = golden[name];
    facts = TokenFacts{expected["marker"], expected["marker_id"], expected["left"], expected["right"],
                       expected["critic_suffix_ids"]};
  }
  Tokenizer tokenizer;
  ChatFormat chat;
  std::string actor, critic, explanation;
  nlohmann::json expected;
  TokenFacts facts;
};

template <typename Function>
std::string MessageOf(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class PromptTest : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Tokenizers, PromptTest, testing::Values("letter", "bytes"));

TEST_P(PromptTest, MarkerSearchEqualsTransformers) {
  const Case c(GetParam());
  EXPECT_EQ(ChooseMarker(c.tokenizer, c.chat, c.actor, c.critic), c.facts);
}

TEST_P(PromptTest, ActorPromptEqualsTransformers) {
  const Case c(GetParam());
  const std::vector<TokenId> ids = c.expected["actor_ids"];
  const ActorPrompt prompt = BuildActorPrompt(c.tokenizer, c.chat, c.actor, c.facts);
  EXPECT_THAT(prompt.ids, ElementsAreArray(ids));
  EXPECT_EQ(prompt.site, c.expected["site"]);
  EXPECT_THAT(FindSites(prompt.ids, c.facts), ElementsAre(prompt.site));
  const std::vector<ChatMessage> row = {{"user", FillActorTemplate(c.actor, kInjectPlaceholder)}};
  EXPECT_THAT(BuildActorPrompt(c.tokenizer, c.chat, row, c.facts).ids, ElementsAreArray(ids));
}

TEST_P(PromptTest, CriticPromptEqualsTransformers) {
  const Case c(GetParam());
  const std::vector<TokenId> suffix = c.expected["critic_suffix_ids"], ids = c.expected["critic_ids"];
  EXPECT_THAT(CriticSuffixIds(c.tokenizer, c.critic), ElementsAreArray(suffix));
  const std::string filled = FillCriticTemplate(c.critic, c.explanation);
  EXPECT_THAT(CriticPromptIds(c.tokenizer, filled, suffix), ElementsAreArray(ids));
}

TEST_P(PromptTest, DefaultTemplatesTakeAMarker) {
  const Case c(GetParam());
  const TokenFacts facts = ChooseMarker(c.tokenizer, c.chat, kDefaultActorTemplate, kDefaultCriticTemplate);
  const ActorPrompt prompt = BuildActorPrompt(c.tokenizer, c.chat, kDefaultActorTemplate, facts);
  EXPECT_EQ(prompt.ids[prompt.site], facts.injection_token_id);
  EXPECT_FALSE(facts.critic_suffix_ids.empty());
}

TEST(Prompt, RefusesFactsOfAnotherTokenizer) {
  const Case c("letter");
  const auto built = [&](auto change) {
    TokenFacts facts = c.facts;
    change(facts);
    return MessageOf([&] { BuildActorPrompt(c.tokenizer, c.chat, c.actor, facts); });
  };
  EXPECT_THAT(built([](TokenFacts& f) { f.injection_token_id += 1; }), HasSubstr("does not become its token"));
  EXPECT_THAT(built([](TokenFacts& f) { f.injection_token_id = 99999; }), HasSubstr("does not become its token"));
  EXPECT_THAT(built([](TokenFacts& f) { f.injection_char = "㊗"; }), HasSubstr("does not become its token"));
  EXPECT_THAT(built([](TokenFacts& f) { f.injection_left_neighbor_id = 5; }),
              HasSubstr("tokens.injection_left_neighbor_id"));
  EXPECT_THAT(built([](TokenFacts& f) { f.injection_right_neighbor_id = 99999; }),
              HasSubstr("tokens.injection_right_neighbor_id"));
}

TEST(Prompt, RefusesAnythingButOneSite) {
  const Case c("letter");
  const auto built = [&](const std::string& actor_template) {
    return MessageOf([&] { BuildActorPrompt(c.tokenizer, c.chat, actor_template, c.facts); });
  };
  EXPECT_THAT(built("no place"), HasSubstr("placeholder is missing"));
  EXPECT_THAT(built("{injection_char} and {injection_char}"), HasSubstr("a brace stands outside"));
  EXPECT_THAT(built("<concept>{injection_char}</concept> {x}"), HasSubstr("a brace stands outside"));
  EXPECT_THAT(built("<INJECT> <concept>{injection_char}</concept>"), HasSubstr("2 times <INJECT>"));
  EXPECT_THAT(built("א <concept>{injection_char}</concept>"), HasSubstr("found 2 tokens"));
  const std::vector<ChatMessage> none = {{"user", "hello"}};
  EXPECT_THAT(MessageOf([&] { BuildActorPrompt(c.tokenizer, c.chat, none, c.facts); }), HasSubstr("0 times <INJECT>"));
}

TEST(Prompt, SitesNeedBothNeighbours) {
  const TokenFacts facts{"x", 7, 1, 2, {}};
  const std::vector<TokenId> ids = {7, 2, 1, 7, 2, 7, 2, 1, 7, 1, 7};
  EXPECT_THAT(FindSites(ids, facts), ElementsAre(3));
  EXPECT_THAT(FindSites(std::vector<TokenId>{}, facts), ElementsAre());
}

TEST(Prompt, RefusesACriticPromptThatEndsElsewhere) {
  const Case c("letter");
  const auto message = [&](const std::string& prompt) {
    return MessageOf([&] { CriticPromptIds(c.tokenizer, prompt, c.facts.critic_suffix_ids); });
  };
  EXPECT_THAT(message(FillCriticTemplate(c.critic, "x") + " "), HasSubstr("critic_suffix_ids"));
  EXPECT_THAT(message(""), HasSubstr("critic_suffix_ids"));
  EXPECT_THAT(MessageOf([&] { CriticSuffixIds(c.tokenizer, "text: {explanation}"); }), HasSubstr("too short"));
  EXPECT_THAT(MessageOf([&] { FillCriticTemplate("no field", "x"); }), HasSubstr("placeholder is missing"));
}

TEST(Prompt, TextOfAnExplanationIsNeverATemplate) {
  EXPECT_EQ(FillCriticTemplate("<{explanation}>", "a {explanation} b"), "<a {explanation} b>");
}

TEST(Prompt, ExplanationIsTheFirstWholePairOfTags) {
  EXPECT_EQ(WrapExplanation("a\n\nb"), "<explanation>\na\n\nb\n</explanation>");
  EXPECT_EQ(ExtractExplanation(WrapExplanation("a\n\nb")), "a\n\nb");
  EXPECT_EQ(ExtractExplanation("x <explanation> a </explanation> <explanation>b</explanation>"), "a");
  EXPECT_EQ(ExtractExplanation("<explanation></explanation>"), "");
  EXPECT_EQ(ExtractExplanation("<explanation>\u3000\u00a0\x1f a\u2003b \u2029</explanation>"), "a\u2003b");
  EXPECT_EQ(ExtractExplanation("</explanation> <explanation> a"), std::nullopt);
  EXPECT_EQ(ExtractExplanation("<explanation> a"), std::nullopt);
  EXPECT_EQ(ExtractExplanation(""), std::nullopt);
}

}  // namespace
}  // namespace nla
