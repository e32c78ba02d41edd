// The verbalizer against a loop written out: the prompt's ids, the injected row, whole forward passes, argmax.
#include "nla/verbalizer.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error_testing.h"
#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

using testing::HasSubstr;

VerbalizeOptions Short(int64_t tokens) {
  VerbalizeOptions options;
  options.sampling.max_new_tokens = tokens;
  return options;
}

// Greedy, without cache, prefix, slots or Inject.
std::vector<TokenId> WrittenOut(const RoleCheckpoint& role, const float* vector, int64_t max_new_tokens) {
  const at::NoGradGuard no_grad;
  const ModelSidecar& sidecar = role.sidecar;
  const ActorPrompt prompt = BuildActorPrompt(role.tokenizer, role.chat, sidecar.actor_template, *sidecar.tokens);
  std::vector<TokenId> ids = prompt.ids;
  const auto prompt_length = static_cast<int64_t>(ids.size());
  const TokenId end = role.tokenizer.Find("<|im_end|>").value();
  while (static_cast<int64_t>(ids.size()) < prompt_length + max_new_tokens) {
    const at::Tensor hidden = role.decoder.Embed(ids);
    float* row = hidden.mutable_data_ptr<float>() + prompt.site * kTinyWidth;
    double vector_square = 0;
    double row_square = 0;
    for (int64_t i = 0; i < kTinyWidth; ++i) {
      vector_square += static_cast<double>(vector[i]) * vector[i];
      row_square += static_cast<double>(row[i]) * row[i];
    }
    const bool add = sidecar.injection_rule == InjectionRule::kAdd;
    const double norm = add ? std::sqrt(row_square) : kTinyInjectionScale;
    for (int64_t i = 0; i < kTinyWidth; ++i) {
      const double scaled = vector_square == 0 ? 0 : vector[i] * norm / std::sqrt(vector_square);
      row[i] = static_cast<float>(add ? row[i] + scaled : scaled);
    }
    const at::Tensor out = role.decoder.Forward(hidden, {0, {static_cast<int64_t>(ids.size())}});
    const at::Tensor last = out.narrow(0, out.size(0) - 1, 1);
    const at::Tensor logits = role.decoder.Logits(role.decoder.FinalNorm(last));
    const auto next = static_cast<TokenId>(logits.argmax().item<int64_t>());
    if (next == end) break;
    ids.push_back(next);
  }
  return {ids.begin() + prompt_length, ids.end()};
}

TEST(VerbalizerTest, EqualsTheLoopWrittenOut) {
  const TinyPair tiny;
  std::vector<float> vectors = RandomVectors(5, 1);
  vectors.resize(6 * kTinyWidth, 0.0F);  // and a zero vector
  for (const InjectionRule rule : {InjectionRule::kReplace, InjectionRule::kAdd}) {
    EditSidecar(tiny / "av", [&](ModelSidecar& sidecar) { sidecar.injection_rule = rule; });
    const RoleCheckpoint role = LoadRole(tiny.Source("av"), Role::kActor);
    VerbalizeOptions options = Short(12);
    options.slots = 4;
    const std::vector<Verbalization> replies = Verbalizer::Load(tiny.Source("av")).Run(vectors, options);
    ASSERT_EQ(replies.size(), 6U);
    std::set<std::vector<TokenId>> different;
    for (size_t row = 0; row < replies.size(); ++row) {
      const auto wanted = WrittenOut(role, vectors.data() + row * kTinyWidth, 12);
      EXPECT_EQ(replies[row].ids, wanted) << "row " << row << (rule == InjectionRule::kAdd ? " add" : " replace");
      EXPECT_EQ(replies[row].index, static_cast<int64_t>(row));
      EXPECT_EQ(replies[row].raw, role.tokenizer.Decode(wanted, /*skip_special=*/false));
      EXPECT_LT(replies[row].logprob, 0);
      different.insert(wanted);
    }
    EXPECT_GT(different.size(), 3U);  // the vector matters
  }
}

TEST(VerbalizerTest, AppliedAdaptersSayWhatMergedOnesSay) {
  const TinyPair tiny;
  const std::vector<float> vectors = RandomVectors(8, 2);
  const std::vector<Verbalization> applied = Verbalizer::Load(tiny.Source("av")).Run(vectors, Short(10));
  const std::vector<Verbalization> merged = Verbalizer::Load(tiny.Source("av_whole")).Run(vectors, Short(10));
  for (size_t i = 0; i < applied.size(); ++i) {
    EXPECT_EQ(applied[i].ids, merged[i].ids) << i;
    EXPECT_NEAR(applied[i].logprob, merged[i].logprob, 1e-3) << i;
  }
}

TEST(VerbalizerTest, CutsTheExplanationOutOfKnownReplies) {
  const TinyPair tiny;
  std::vector<float> vectors = RandomVectors(20, 3);
  vectors.resize(21 * kTinyWidth, 0.0F);
  const Verbalizer verbalizer = Verbalizer::Load(tiny.Source("av_known"));
  const std::vector<Verbalization> replies = verbalizer.Run(vectors, Short(20));
  std::set<std::string> letters;
  for (size_t i = 0; i < replies.size(); ++i) {
    const std::string letter = KnownExplanation(vectors.data() + i * kTinyWidth);
    EXPECT_EQ(replies[i].raw, "<explanation>" + letter + "</explanation>") << i;
    EXPECT_EQ(replies[i].explanation, letter) << i;
    EXPECT_EQ(replies[i].finish_reason, FinishReason::kStop);
    letters.insert(letter);
  }
  EXPECT_EQ(letters.size(), 4U);
  // One token short of the closing tag: no explanation.
  for (const Verbalization& reply : verbalizer.Run(vectors, Short(2))) {
    EXPECT_EQ(reply.explanation, std::nullopt);
    EXPECT_EQ(reply.finish_reason, FinishReason::kLength);
    EXPECT_EQ(reply.ids.size(), 2U);
  }
}

TEST(VerbalizerTest, SamplesAreInOrderAndHaveStreamsOfTheirOwn) {
  const TinyPair tiny;
  const Verbalizer verbalizer = Verbalizer::Load(tiny.Source("av"));
  const std::vector<float> vectors = RandomVectors(3, 4);
  VerbalizeOptions options = Short(8);
  options.sampling.temperature = 1;
  options.samples = 4;
  options.seed = 9;
  const std::vector<Verbalization> first = verbalizer.Run(vectors, options);
  ASSERT_EQ(first.size(), 12U);
  std::set<std::vector<TokenId>> different;
  for (int64_t i = 0; i < 12; ++i) {
    EXPECT_EQ(first[i].index, i / 4);
    EXPECT_EQ(first[i].sample, i % 4);
    different.insert(first[i].ids);
  }
  EXPECT_EQ(different.size(), 12U);
  options.slots = 5;
  const std::vector<Verbalization> again = verbalizer.Run(vectors, options);
  for (size_t i = 0; i < 12; ++i) EXPECT_EQ(again[i].ids, first[i].ids) << i;
  options.seed = 10;
  EXPECT_NE(verbalizer.Run(vectors, options)[0].ids, first[0].ids);
}

TEST(VerbalizerTest, RefusesNanByRowAndTakesNoRows) {
  const TinyPair tiny;
  const Verbalizer verbalizer = Verbalizer::Load(tiny.Source("av_known"));
  std::vector<float> vectors = RandomVectors(2, 5);
  vectors[kTinyWidth + 7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(Refusal([&] { verbalizer.Run(vectors, Short(4)); }),
              testing::AllOf(HasSubstr("activation 1"), HasSubstr("NaN")));
  EXPECT_TRUE(verbalizer.Run({}, Short(4)).empty());
}

}  // namespace
}  // namespace nla
