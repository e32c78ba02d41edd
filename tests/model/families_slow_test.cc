// Wider random checkpoints of every family and sequences longer than their windows, against transformers, which runs
// live: hidden states, logits, gradients, decoding through the cache. tools/oracles/tiny_families.py makes them.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model/decoder.h"
#include "model/model_testing.h"
#include "model/ops/cross_entropy.h"
#include "model/smollm2_testing.h"

namespace nla::testing {
namespace {

// fp32 bounds: what transformers' own attention kernels differ by, and twice that arithmetic for gradients.
constexpr double kTolerance = 2e-4;
constexpr double kGradientTolerance = 1e-3;

class WideFamily : public ::testing::TestWithParam<const char*> {
 protected:
  static std::filesystem::path Directory() {
    static const std::filesystem::path all =
        OracleOutput({.script = "tiny_families",
                      .arguments = {"--large"},
                      .inputs = {std::filesystem::path(NLA_SOURCE_DIR) / "tools/oracles/tiny_llama.py"},
                      .ending = ""});
    return all / GetParam();
  }
  at::Tensor Wanted(const std::string& name) const { return Golden(golden_, name); }

  SafetensorsFile golden_ = SafetensorsFile::Open(Directory() / "golden.safetensors");
  Decoder decoder_ = Decoder::Load(Checkpoint::Open(Directory()), {});
};

TEST_P(WideFamily, EveryLayerOfShortAndLongSequences) {
  const at::NoGradGuard no_grad;
  for (int i = 0; i < 3; ++i) {
    const auto ids = GoldenIds(golden_, fmt::format("seq{}.ids", i));
    const at::Tensor last = decoder_.Forward(decoder_.Embed(ids), {0, {static_cast<int64_t>(ids.size())}},
                                             [&](int64_t block, const at::Tensor& residual) {
                                               const std::string name = fmt::format("seq{}.hidden.{}", i, block + 1);
                                               EXPECT_LT(RelativeError(residual, Wanted(name)), kTolerance) << name;
                                             });
    const at::Tensor normed = decoder_.FinalNorm(last);
    EXPECT_LT(RelativeError(normed, Wanted(fmt::format("seq{}.final_norm", i))), kTolerance);
    if (i == 1) continue;  // its logits are left out of the golden
    EXPECT_LT(RelativeError(decoder_.Logits(normed), Wanted(fmt::format("seq{}.logits", i))), kTolerance);
  }
}

TEST_P(WideFamily, GradientsOfEveryParameter) {
  std::vector<at::Tensor> rows;
  std::vector<int64_t> targets;
  for (NamedTensor& weight : decoder_.Weights()) weight.tensor.set_requires_grad(true);
  for (int i = 0; i < 3; ++i) {  // one by one, so that the long one takes its own kernel
    const auto ids = GoldenIds(golden_, fmt::format("seq{}.ids", i));
    const auto n = static_cast<int64_t>(ids.size());
    rows.push_back(decoder_.FinalNorm(decoder_.Forward(decoder_.Embed(ids), {0, {n}})).narrow(0, 0, n - 1));
    targets.insert(targets.end(), ids.begin() + 1, ids.end());
  }
  const at::Tensor loss = ops::SumCrossEntropy(at::cat(rows), decoder_.head(), at::tensor(targets, at::kLong)) /
                          static_cast<double>(targets.size());
  const double wanted = Wanted("loss").item<double>();
  EXPECT_NEAR(loss.item<double>(), wanted, wanted * kTolerance);
  loss.backward();
  for (const NamedTensor& weight : decoder_.Weights()) {
    ASSERT_TRUE(weight.tensor.grad().defined()) << weight.name;
    EXPECT_LT(RelativeError(weight.tensor.grad(), Wanted("grad." + weight.name)), kGradientTolerance) << weight.name;
  }
}

TEST_P(WideFamily, DecodingPastTheWindowEqualsTransformersCache) {
  const at::NoGradGuard no_grad;
  const at::Tensor wanted = Wanted("cached.logits");
  const auto ids = GoldenIds(golden_, "seq1.ids");
  const std::span<const TokenId> all = std::span(ids).first(wanted.size(0));
  KvPages cache(decoder_.spec(), decoder_.blocks(), 8, decoder_.compute());
  const std::vector<int32_t> pages = {3, 1, 7, 5, 0, 2, 4, 6};
  const auto extend = [&](int64_t stored, int64_t rows) {
    const PagedRows sequence{pages, stored, rows};
    return decoder_.Extend(decoder_.Embed(all.subspan(stored, rows)), std::span(&sequence, 1), cache);
  };
  extend(0, 10);
  std::vector<at::Tensor> logits = {decoder_.Logits(decoder_.FinalNorm(extend(10, 5)))};
  for (int64_t i = 15; i < wanted.size(0); ++i) {
    logits.push_back(decoder_.Logits(decoder_.FinalNorm(extend(i, 1))));
  }
  EXPECT_LT(RelativeError(at::cat(logits), wanted.slice(0, 10)), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Live, WideFamily,
                         ::testing::Values("llama3", "llama3_untied", "llama_linear", "mistral", "mistral_full",
                                           "qwen2", "qwen2_tied", "qwen3", "qwen3_untied", "gemma3_text", "gemma3",
                                           "gemma3_untied"),
                         [](const auto& family) { return family.param; });

}  // namespace
}  // namespace nla::testing
