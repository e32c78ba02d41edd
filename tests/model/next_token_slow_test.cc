// Every next token on pages of text, by real models, against transformers: agreement of the likeliest token,
// perplexity, and how far bf16 is off. NLA_PAGES sets the number of pages (20 for a full run);
// tools/oracles/next_tokens.py is the oracle.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "model/decoder.h"
#include "model/model_testing.h"
#include "model/ops/cross_entropy.h"
#include "model/smollm2_testing.h"

namespace nla::testing {
namespace {

constexpr int64_t kChunkRows = 128;

int64_t Pages() {
  const char* asked = std::getenv("NLA_PAGES");
  return asked == nullptr ? 2 : std::atoll(asked);
}

struct Predictions {
  at::Tensor top1, logprobs;
};

Predictions Predict(const Decoder& decoder, const std::vector<TokenId>& ids) {
  const at::NoGradGuard no_grad;
  const auto n = static_cast<int64_t>(ids.size());
  const at::Tensor residual_TD = decoder.Forward(decoder.Embed(ids), {0, {n}}).narrow(0, 0, n - 1);
  const at::Tensor normed_TD = decoder.FinalNorm(residual_TD);
  std::vector<at::Tensor> top1;
  for (int64_t begin = 0; begin < n - 1; begin += kChunkRows) {
    const int64_t rows = std::min(kChunkRows, n - 1 - begin);
    top1.push_back(decoder.Logits(normed_TD.narrow(0, begin, rows)).argmax(1));
  }
  at::Tensor targets = at::empty({n - 1}, at::kLong);
  for (int64_t i = 0; i < n - 1; ++i) targets.mutable_data_ptr<int64_t>()[i] = ids[i + 1];
  return {at::cat(top1), ops::TargetLogprobs(normed_TD, decoder.head(), targets)};
}

// Sums over pages against the fp32 reference.
struct Comparison {
  int64_t tokens = 0;
  int64_t agreeing = 0;
  double logprob = 0, wanted_logprob = 0, distance = 0;

  void Add(const Predictions& found, const Predictions& wanted) {
    tokens += wanted.top1.numel();
    agreeing += found.top1.eq(wanted.top1).sum().item<int64_t>();
    logprob += found.logprobs.sum().item<double>();
    wanted_logprob += wanted.logprobs.sum().item<double>();
    distance += (found.logprobs - wanted.logprobs).abs().sum().item<double>();
  }
  double agreement() const { return static_cast<double>(agreeing) / static_cast<double>(tokens); }
  double perplexity_ratio() const { return std::exp((wanted_logprob - logprob) / static_cast<double>(tokens)); }
  double mean_distance() const { return distance / static_cast<double>(tokens); }
  std::string Text() const {
    return fmt::format("{} tokens, top-1 agreement {:.5f}, perplexity ratio {:.6f}, mean |log p difference| {:.2e}",
                       tokens, agreement(), perplexity_ratio(), mean_distance());
  }
};

class NextToken : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    directory_ = std::string(GetParam()) == "gemma" ? GemmaDirectory() : SmolLm2Directory();
    if (!directory_) GTEST_SKIP() << "the packages of Gemma-3-270M cannot be fetched";
    std::vector<std::filesystem::path> inputs = ModelFiles(*directory_);
    inputs.push_back(std::filesystem::path(NLA_SOURCE_DIR) / "demo/heldout.parquet");
    const std::vector<std::string> arguments = {"--model", directory_->string(), "--pages", std::to_string(Pages())};
    reference_.emplace(
        SafetensorsFile::Open(OracleOutput({.script = "next_tokens", .arguments = arguments, .inputs = inputs})));
  }
  Predictions Reference(const std::string& prefix) const {
    return {Golden(*reference_, prefix + "top1"), Golden(*reference_, prefix + "logprob")};
  }

  std::optional<std::filesystem::path> directory_;
  std::optional<SafetensorsFile> reference_;
};

TEST_P(NextToken, EqualsTransformers) {
  const Decoder decoder = Decoder::Load(Checkpoint::Open(*directory_), {});
  Comparison all;
  for (int64_t i = 0; i < Pages(); ++i) {
    const std::string page = fmt::format("page{}.", i);
    all.Add(Predict(decoder, GoldenIds(*reference_, page + "ids")), Reference(page));
  }
  fmt::print("{}\n", all.Text());
  EXPECT_GE(all.agreement(), 0.995);
  EXPECT_NEAR(all.perplexity_ratio(), 1, 1e-3);
}

TEST_P(NextToken, InBFloat16IsAsNearAsTransformersOwn) {
  const Decoder decoder = Decoder::Load(Checkpoint::Open(*directory_), {.compute = at::kBFloat16});
  Comparison ours;
  Comparison theirs;
  ours.Add(Predict(decoder, GoldenIds(*reference_, "page0.ids")), Reference("page0."));
  theirs.Add(Reference("page0.bf16."), Reference("page0."));
  fmt::print("ours:   {}\ntheirs: {}\n", ours.Text(), theirs.Text());
  // Of a thousand tokens, five either way are chance.
  EXPECT_GE(ours.agreement(), theirs.agreement() - 0.005);
  EXPECT_LE(ours.mean_distance(), 1.2 * theirs.mean_distance());
  EXPECT_LE(std::abs(ours.perplexity_ratio() - 1), std::abs(theirs.perplexity_ratio() - 1) + 2e-3);
}

INSTANTIATE_TEST_SUITE_P(RealModels, NextToken, ::testing::Values("smollm2", "gemma"),
                         [](const auto& model) { return model.param; });

}  // namespace
}  // namespace nla::testing
