// Text to explained tokens: which tokens, and that every field agrees with its definition.
#include "nla/explainer.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error_testing.h"
#include "nla/autoencoder.h"
#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kText = "the ship 12";

class ExplainerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    tiny_ = std::make_unique<TinyPair>();
    tiny_->WriteHeldOut(40, false);
    tiny_->Assemble("pair", "av_known", "ar");
    tiny_->Assemble("silent", "av", "ar");
  }
  static void TearDownTestSuite() { tiny_.reset(); }

  static std::vector<TokenExplanation> Explain(const std::string& pair, const std::string& text,
                                               const std::vector<int64_t>& tokens) {
    ExplainOptions options;
    options.tokens = tokens;
    options.verbalize.sampling.max_new_tokens = 10;
    return Explainer::Load(FindPair(*tiny_ / pair), at::kFloat).Explain(text, options);
  }
  static std::vector<int64_t> Indices(const std::vector<TokenExplanation>& tokens) {
    std::vector<int64_t> indices;
    for (const TokenExplanation& one : tokens) indices.push_back(one.index);
    return indices;
  }
  // The residual stream after block K of the text's tokens, [T, d].
  static at::Tensor Residual(const std::vector<TokenId>& ids) {
    const at::NoGradGuard no_grad;
    const Decoder base = Decoder::Load(Checkpoint::Open(*tiny_ / "base"), {});
    at::Tensor residual;
    base.Forward(base.Embed(ids), {0, {static_cast<int64_t>(ids.size())}}, [&](int64_t block, const at::Tensor& rows) {
      if (block == kTinyLayer) residual = rows.clone();
    });
    return residual;
  }

  static std::unique_ptr<TinyPair> tiny_;
};
std::unique_ptr<TinyPair> ExplainerTest::tiny_;

TEST_F(ExplainerTest, TokensAreThoseAskedForInThatOrder) {
  const auto count = static_cast<int64_t>(Tokenizer::Load(*tiny_ / "base").Encode(kText).size());
  ASSERT_GT(count, 4);
  EXPECT_THAT(Indices(Explain("pair", kText, {-1})), ElementsAre(count - 1));
  EXPECT_THAT(Indices(Explain("pair", kText, {3, 0, -2})), ElementsAre(3, 0, count - 2));
  EXPECT_EQ(static_cast<int64_t>(Explain("pair", kText, {}).size()), count);
  for (const int64_t wrong : {count, -count - 1}) {
    EXPECT_THAT(Refusal([&] {
                  Explain("pair", kText, {0, wrong});
                }),
                testing::AllOf(HasSubstr("--tokens: no such token: found " + std::to_string(wrong)),
                               HasSubstr("the text has " + std::to_string(count) + " tokens")));
  }
  EXPECT_THAT(Refusal([&] { Explain("pair", "", {}); }), HasSubstr("text: is empty"));
}

TEST_F(ExplainerTest, EveryFieldAgreesWithItsDefinition) {
  const PairLocation pair = FindPair(*tiny_ / "pair");
  const Tokenizer tokenizer = Tokenizer::Load(*tiny_ / "base");
  const std::vector<TokenId> ids = tokenizer.Encode(kText);
  const at::Tensor residual = Residual(ids);
  const Reconstructor reconstructor = Reconstructor::Load(pair.Critic(at::kFloat));
  const std::vector<TokenExplanation> tokens = Explain("pair", kText, {});
  ASSERT_EQ(tokens.size(), ids.size());
  std::string joined;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const TokenExplanation& one = tokens[i];
    const std::span<const float> gold(residual.const_data_ptr<float>() + i * kTinyWidth, kTinyWidth);
    EXPECT_EQ(one.index, static_cast<int64_t>(i));
    EXPECT_EQ(one.id, ids[i]);
    joined += one.token;
    EXPECT_TRUE(one.ok);
    EXPECT_EQ(one.explanation, KnownExplanation(gold.data())) << i;
    double square = 0;
    for (const float x : gold) square += static_cast<double>(x) * x;
    EXPECT_NEAR(one.norm, std::sqrt(square), 1e-4 * one.norm);
    const std::vector<float> predicted = reconstructor.Run(std::vector<std::string>{one.explanation});
    EXPECT_NEAR(one.cosine, Cosine(predicted, gold), 1e-4);
    EXPECT_NEAR(one.mse, 2 * (1 - one.cosine), 1e-6);
    EXPECT_NEAR(one.fve_raw_variance.value(), 1 - one.mse / pair.manifest.baselines->raw_variance, 1e-12);
    EXPECT_NEAR(one.fve_mean_norm.value(), 1 - one.mse / pair.manifest.baselines->mean_norm, 1e-12);
  }
  EXPECT_EQ(joined, kText);
}

TEST_F(ExplainerTest, AReplyWithoutTagsIsShownRawAndScoredAsEmptyText) {
  const std::vector<TokenExplanation> tokens = Explain("silent", kText, {-1});
  EXPECT_FALSE(tokens[0].ok);
  EXPECT_FALSE(tokens[0].explanation.empty());
  const Reconstructor reconstructor = Reconstructor::Load(FindPair(*tiny_ / "silent").Critic(at::kFloat));
  const std::vector<float> predicted = reconstructor.Run(std::vector<std::string>{""});
  const std::vector<TokenId> ids = Tokenizer::Load(*tiny_ / "base").Encode(kText);
  const at::Tensor residual = Residual(ids);
  const std::span<const float> gold(residual.const_data_ptr<float>() + (ids.size() - 1) * kTinyWidth, kTinyWidth);
  EXPECT_NEAR(tokens[0].cosine, Cosine(predicted, gold), 1e-4);
}

TEST_F(ExplainerTest, SpecialSpellingsStayTextUnlessAskedFor) {
  const Explainer explainer = Explainer::Load(FindPair(*tiny_ / "pair"), at::kFloat);
  ExplainOptions options;
  options.tokens = {};
  const std::string text = "<|im_start|>";
  EXPECT_GT(explainer.Explain(text, options).size(), 1U);
  options.parse_special = true;
  const std::vector<TokenExplanation> special = explainer.Explain(text, options);
  ASSERT_EQ(special.size(), 1U);
  EXPECT_EQ(special[0].token, text);
}

TEST_F(ExplainerTest, ThePublicClassSaysTheSame) {
  const Autoencoder pair = Autoencoder::Open(*tiny_ / "pair", {.base = {}, .dtype = "fp32"});
  EXPECT_EQ(pair.d_model(), kTinyWidth);
  EXPECT_EQ(pair.layer(), kTinyLayer);
  const std::vector<TokenExplanation> wanted = Explain("pair", kText, {1, -1});
  const std::vector<ExplainedToken> tokens = pair.Explain(kText, std::vector<int64_t>{1, -1});
  ASSERT_EQ(tokens.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(tokens[i].index, wanted[i].index);
    EXPECT_EQ(tokens[i].token, wanted[i].token);
    EXPECT_EQ(tokens[i].explanation, wanted[i].explanation);
    EXPECT_TRUE(tokens[i].ok);
    EXPECT_NEAR(tokens[i].cosine, wanted[i].cosine, 1e-5);
    EXPECT_EQ(tokens[i].fve_raw_variance.has_value(), true);
  }
  const std::vector<float> vectors = RandomVectors(3, 8);
  const auto explanations = pair.Verbalize(vectors);
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(explanations[i], KnownExplanation(vectors.data() + i * kTinyWidth));
  EXPECT_EQ(pair.Reconstruct(std::vector<std::string>{"a", "b"}).size(), 2U * kTinyWidth);
}

}  // namespace
}  // namespace nla
