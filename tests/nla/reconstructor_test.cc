// The reconstructor against the value head times the last row of a plain forward pass, and what it refuses.
#include "nla/reconstructor.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error_testing.h"
#include "nla/prompt.h"
#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::vector<std::string> Texts(int count) {
  std::vector<std::string> texts = {"", "a", "the ship left the harbour at dawn\n\nabout: boats"};
  while (static_cast<int>(texts.size()) < count) {
    const auto i = static_cast<char>(texts.size());
    texts.push_back(std::string(20 + 3 * i, static_cast<char>('a' + i % 26)) + " über");
  }
  return texts;
}

std::vector<float> WrittenOut(const RoleCheckpoint& role, const std::string& explanation) {
  const at::NoGradGuard no_grad;
  const std::string prompt = "Text: <t>" + explanation + "</t> <s>";
  const std::vector<TokenId> ids = role.tokenizer.Encode(prompt);
  const at::Tensor out = role.decoder.Forward(role.decoder.Embed(ids), {0, {static_cast<int64_t>(ids.size())}});
  const float* last = out.const_data_ptr<float>() + (out.size(0) - 1) * kTinyWidth;
  std::vector<float> vector(kTinyWidth);
  for (int64_t i = 0; i < kTinyWidth; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < kTinyWidth; ++j) {
      sum += static_cast<double>(role.value_head.const_data_ptr<float>()[i * kTinyWidth + j]) * last[j];
    }
    vector[i] = static_cast<float>(sum);
  }
  return vector;
}

// ‖a − b‖/‖b‖ of one row.
double Distance(const float* a, const float* b) {
  double difference = 0;
  double square = 0;
  for (int64_t i = 0; i < kTinyWidth; ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    square += static_cast<double>(b[i]) * b[i];
  }
  return std::sqrt(difference / square);
}

TEST(ReconstructorTest, IsTheValueHeadTimesTheLastRow) {
  const TinyPair tiny;
  const std::vector<std::string> texts = Texts(40);  // more than one batch of tokens
  const RoleCheckpoint role = LoadRole(tiny.Source("ar"), Role::kCritic);
  EXPECT_EQ(role.decoder.blocks(), kTinyLayer + 1);
  const std::vector<float> applied = Reconstructor::Load(tiny.Source("ar")).Run(texts);
  const std::vector<float> merged = Reconstructor::Load(tiny.Source("ar_whole")).Run(texts);
  ASSERT_EQ(applied.size(), texts.size() * kTinyWidth);
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::vector<float> wanted = WrittenOut(role, texts[i]);
    // fp32 through two blocks, packed or alone.
    EXPECT_LT(Distance(applied.data() + i * kTinyWidth, wanted.data()), 1e-5) << i;
    EXPECT_LT(Distance(merged.data() + i * kTinyWidth, wanted.data()), 1e-4) << i;
  }
  EXPECT_GT(Distance(applied.data(), applied.data() + kTinyWidth), 0.01);  // the text matters
  EXPECT_TRUE(Reconstructor::Load(tiny.Source("ar")).Run({}).empty());
}

class ReconstructorRefusals : public testing::Test {
 protected:
  std::string Load(const std::string& side) {
    return Refusal([&] { Reconstructor::Load(tiny_.Source(side)); });
  }
  std::string LoadWith(const std::function<void(ModelSidecar&)>& edit) {
    const ModelSidecar before = ReadModelSidecar(tiny_ / "ar");
    EditSidecar(tiny_ / "ar", edit);
    std::string message = Load("ar");
    WriteModelSidecar(tiny_ / "ar", before);
    return message;
  }
  TinyPair tiny_;
};

TEST_F(ReconstructorRefusals, ACriticSuffixOfAnotherTokenizer) {
  EXPECT_EQ(Load("ar"), "accepted");
  EXPECT_THAT(LoadWith([](ModelSidecar& s) { s.tokens->critic_suffix_ids.back() += 1; }),
              AllOf(HasSubstr("ar/nla_meta.yaml: tokens.critic_suffix_ids"), HasSubstr("found [")));
  EXPECT_EQ(LoadWith([](ModelSidecar& s) { s.tokens->critic_suffix_ids.clear(); }), "accepted");  // it was not recorded
  EXPECT_EQ(LoadWith([](ModelSidecar& s) { s.tokens.reset(); }), "accepted");
}

TEST_F(ReconstructorRefusals, AScaleThatScoresAreNotTakenAt) {
  const auto scaled = [&](const Scale& scale) { return LoadWith([&](ModelSidecar& s) { s.mse_scale = scale; }); };
  EXPECT_EQ(scaled({}), "accepted");
  EXPECT_EQ(scaled({.kind = Scale::Kind::kNumber, .number = 8.001}), "accepted");  // sqrt(64) with few digits
  EXPECT_THAT(scaled({.kind = Scale::Kind::kNumber, .number = 1}),
              AllOf(HasSubstr("ar/nla_meta.yaml: extraction.mse_scale"), HasSubstr("found 1"), HasSubstr("8.0000")));
  EXPECT_THAT(scaled({.kind = Scale::Kind::kNone}), HasSubstr("found null"));
}

}  // namespace
}  // namespace nla
