// The perplexity of texts against the same sum token by token.
#include "eval/perplexity.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <gtest/gtest.h>

#include <cmath>

#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

struct Sum {
  double surprise = 0;
  int64_t tokens = 0;
};

// One growing sequence at a time, logits of its last row alone.
void AddTokenByToken(const LanguageModel& model, const std::string& text, Sum& sum) {
  const at::NoGradGuard no_grad;
  const std::vector<TokenId> ids = model.tokenizer.Encode(text);
  for (size_t seen = 1; seen < ids.size(); ++seen) {
    const std::span<const TokenId> before = std::span(ids).first(seen);
    const auto rows = static_cast<int64_t>(seen);
    const at::Tensor hidden_TD = model.decoder.Forward(model.decoder.Embed(before), {0, {rows}});
    const at::Tensor logits_1V = model.decoder.Logits(model.decoder.FinalNorm(hidden_TD.narrow(0, rows - 1, 1)));
    sum.surprise -= at::log_softmax(logits_1V, 1)[0][ids[seen]].item<double>();
    ++sum.tokens;
  }
}

TEST(PerplexityTest, IsOfAllTokensButTheFirstOfEachText) {
  const TinyPair tiny;
  const LanguageModel model = LanguageModel::Load(tiny / "base", {});
  std::vector<std::string> texts = {"abcd", "", "a", "dcba abc", "a b c d"};
  for (int i = 0; i < 300; ++i) texts.push_back("abcdabcd");  // more than one batch
  Sum sum;
  for (size_t i = 0; i < 6; ++i) AddTokenByToken(model, texts[i], sum);
  Sum last;
  AddTokenByToken(model, "abcdabcd", last);
  sum.surprise += 299 * last.surprise;
  sum.tokens += 299 * last.tokens;
  const std::optional<double> found = Perplexity(model, texts);
  ASSERT_TRUE(found);
  EXPECT_NEAR(*found, std::exp(sum.surprise / static_cast<double>(sum.tokens)), 1e-4 * *found);
}

TEST(PerplexityTest, TextsWithoutATokenToForeseeHaveNone) {
  const TinyPair tiny;
  const LanguageModel model = LanguageModel::Load(tiny / "base", {});
  EXPECT_FALSE(Perplexity(model, {}));
  EXPECT_FALSE(Perplexity(model, std::vector<std::string>{"", "a"}));
}

}  // namespace
}  // namespace nla
