// The decoder against transformers on tiny random checkpoints: hidden states, logits, gradients; packing, shared
// prefix, cache and adapters against the plain forward.
#include "model/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/model_testing.h"
#include "model/ops/cross_entropy.h"
#include "nla/error.h"

namespace nla {
namespace {

using testing::Golden;
using testing::GoldenIds;
using testing::RelativeError;
using testing::TinyLlama;

struct Variant {
  std::string name;
  at::ScalarType dtype;
  // fp32: the specified bound. bf16: 2^-9 relative rounding at some fifty places one after another, magnified by
  // weights that are far larger than a trained model's; measured up to 0.020. The real model's bound is the slow
  // test's.
  double tolerance;
};

class DecoderTest : public ::testing::TestWithParam<Variant> {
 protected:
  DecoderTest()
      : checkpoint_(Checkpoint::Open(TinyLlama(GetParam().name))),
        golden_(SafetensorsFile::Open(TinyLlama(GetParam().name) / "golden.safetensors")),
        decoder_(Decoder::Load(checkpoint_, {.compute = GetParam().dtype})) {}

  // The three golden sequences as one packed batch.
  PackedBatch Packed(std::vector<TokenId>& ids) const {
    PackedBatch batch;
    for (int i = 0; i < 3; ++i) {
      const auto sequence = GoldenIds(golden_, "seq" + std::to_string(i) + ".ids");
      ids.insert(ids.end(), sequence.begin(), sequence.end());
      batch.lengths.push_back(static_cast<int64_t>(sequence.size()));
    }
    return batch;
  }

  at::Tensor GoldenRows(const std::string& field) const {
    std::vector<at::Tensor> parts;
    for (int i = 0; i < 3; ++i) parts.push_back(Golden(golden_, "seq" + std::to_string(i) + "." + field));
    return at::cat(parts);
  }

  Checkpoint checkpoint_;
  SafetensorsFile golden_;
  Decoder decoder_;
};

TEST_P(DecoderTest, EveryLayerAndTheLogitsMatchTransformers) {
  const at::NoGradGuard no_grad;
  std::vector<TokenId> ids;
  const PackedBatch batch = Packed(ids);
  const at::Tensor embedded = decoder_.Embed(ids);
  EXPECT_LT(RelativeError(embedded, GoldenRows("hidden.0")), GetParam().tolerance);
  int64_t seen = 0;
  const at::Tensor last = decoder_.Forward(embedded, batch, [&](int64_t block, const at::Tensor& residual) {
    EXPECT_LT(RelativeError(residual, GoldenRows("hidden." + std::to_string(block + 1))), GetParam().tolerance)
        << block;
    ++seen;
  });
  EXPECT_EQ(seen, decoder_.blocks());
  const at::Tensor normed = decoder_.FinalNorm(last);
  EXPECT_LT(RelativeError(normed, GoldenRows("final_norm")), GetParam().tolerance);
  EXPECT_LT(RelativeError(decoder_.Logits(normed), GoldenRows("logits")), GetParam().tolerance);
}

TEST_P(DecoderTest, GradientsOfEveryParameterMatchTransformers) {
  std::vector<TokenId> ids;
  const PackedBatch batch = Packed(ids);
  for (NamedTensor& weight : decoder_.Weights()) weight.tensor.set_requires_grad(true);
  const at::Tensor normed = decoder_.FinalNorm(decoder_.Forward(decoder_.Embed(ids), batch));
  std::vector<int64_t> rows;
  std::vector<int64_t> targets;
  const std::vector<int64_t> starts = batch.starts();
  for (size_t s = 0; s < starts.size(); ++s) {
    for (int64_t i = 0; i + 1 < batch.lengths[s]; ++i) {
      rows.push_back(starts[s] + i);
      targets.push_back(ids[starts[s] + i + 1]);
    }
  }
  const at::Tensor picked = normed.index_select(0, at::tensor(rows, at::kLong));
  const at::Tensor loss =
      ops::SumCrossEntropy(picked, decoder_.head(), at::tensor(targets, at::kLong)) / static_cast<double>(rows.size());
  const double wanted = Golden(golden_, "loss").item<double>();
  EXPECT_NEAR(loss.item<double>(), wanted, wanted * GetParam().tolerance);
  loss.backward();
  // Gradients pass through twice the arithmetic of the forward; the specified bound in fp32 is 1e-3.
  const double tolerance = GetParam().dtype == at::kFloat ? 1e-3 : 6 * GetParam().tolerance;
  const auto named = [](const TensorView& view) { return view.name.starts_with("grad."); };
  EXPECT_EQ(std::count_if(golden_.tensors().begin(), golden_.tensors().end(), named),
            static_cast<int64_t>(decoder_.Weights().size()));
  for (const NamedTensor& weight : decoder_.Weights()) {
    ASSERT_TRUE(weight.tensor.grad().defined()) << weight.name;
    EXPECT_LT(RelativeError(weight.tensor.grad(), Golden(golden_, "grad." + weight.name)), tolerance) << weight.name;
  }
}

TEST_P(DecoderTest, SharedPrefixEqualsRepeatedPrefixForwardAndBackward) {
  const auto ids = GoldenIds(golden_, "seq1.ids");  // 23 tokens: 9 shared, then 14 and the first 5 of them
  const std::vector<TokenId> head(ids.begin(), ids.begin() + 9);
  const std::vector<TokenId> tail(ids.begin() + 9, ids.end());
  const std::vector<TokenId> other(tail.rbegin(), tail.rbegin() + 5);
  std::vector<TokenId> shared = head;
  std::vector<TokenId> repeated;
  for (const auto& part : {tail, other}) {
    shared.insert(shared.end(), part.begin(), part.end());
    repeated.insert(repeated.end(), head.begin(), head.end());
    repeated.insert(repeated.end(), part.begin(), part.end());
  }
  const auto run = [&](const std::vector<TokenId>& row_ids, const PackedBatch& batch,
                       const std::vector<int64_t>& last) {
    at::Tensor hidden = decoder_.Embed(row_ids).detach().clone();
    for (NamedTensor& weight : decoder_.Weights()) {
      weight.tensor.set_requires_grad(true);
      weight.tensor.mutable_grad() = at::Tensor();
    }
    const at::Tensor out = decoder_.Forward(hidden, batch).index_select(0, at::tensor(last, at::kLong));
    out.square().sum().backward();
    std::vector<at::Tensor> result = {out.detach()};
    for (const NamedTensor& weight : decoder_.Weights()) {
      if (weight.tensor.grad().defined()) result.push_back(weight.tensor.grad().clone());
    }
    return result;
  };
  const auto with_prefix = run(shared, {9, {14, 5}}, {22, 27});
  const auto without = run(repeated, {0, {23, 14}}, {22, 36});
  ASSERT_EQ(with_prefix.size(), without.size());
  const double tolerance = GetParam().dtype == at::kFloat ? 1e-4 : 0.05;
  for (size_t i = 0; i < without.size(); ++i) EXPECT_LT(RelativeError(with_prefix[i], without[i]), tolerance) << i;
}

TEST_P(DecoderTest, CachedStepsEqualTheWholeForward) {
  const at::NoGradGuard no_grad;
  const auto ids = GoldenIds(golden_, "seq1.ids");
  const at::Tensor whole = decoder_.Forward(decoder_.Embed(ids), {0, {23}});
  KvPages cache(decoder_.spec(), decoder_.blocks(), 8, decoder_.compute());
  // Two sequences of the same ids, in pages that lie in any order, read in pieces and continued token by token
  // together.
  const std::vector<int32_t> pages[2] = {{5, 2}, {0, 7}};
  int64_t stored[2] = {0, 0};
  const double tolerance = GetParam().dtype == at::kFloat ? 1e-5 : 2 * GetParam().tolerance;  // both sides are rounded
  const auto extend = [&](int64_t first, int64_t second) {
    std::vector<TokenId> rows;
    std::vector<PagedRows> sequences;
    std::vector<at::Tensor> wanted;
    const int64_t counts[2] = {first, second};
    for (int i = 0; i < 2; ++i) {
      if (counts[i] == 0) continue;
      rows.insert(rows.end(), ids.begin() + stored[i], ids.begin() + stored[i] + counts[i]);
      sequences.push_back({pages[i], stored[i], counts[i]});
      wanted.push_back(whole.narrow(0, stored[i], counts[i]));
      stored[i] += counts[i];
    }
    EXPECT_LT(RelativeError(decoder_.Extend(decoder_.Embed(rows), sequences, cache), at::cat(wanted)), tolerance);
  };
  extend(6, 0);
  extend(9, 10);
  for (int step = 0; step < 8; ++step) extend(1, 1);
  // A page that begins alike is as good as one that was computed.
  cache.CopyPage(5, 3, 9);
  const std::vector<int32_t> copied = {3, 6};
  const PagedRows rest{copied, 9, 14};
  const at::Tensor out = decoder_.Extend(decoder_.Embed(std::span(ids).subspan(9, 14)), std::span(&rest, 1), cache);
  EXPECT_LT(RelativeError(out, whole.narrow(0, 9, 14)), tolerance);
  const at::Tensor two = decoder_.Extend(decoder_.Embed(std::span(ids).subspan(9, 14)), std::span(&rest, 1), cache,
                                         std::vector<int64_t>{3, 13});
  EXPECT_TRUE(two.equal(at::cat({out.narrow(0, 3, 1), out.narrow(0, 13, 1)})));
}

TEST_P(DecoderTest, LongSegmentsTakeAnotherKernelAndAgree) {
  const at::NoGradGuard no_grad;
  std::vector<TokenId> ids;
  for (int i = 0; i < 400; ++i) ids.push_back(static_cast<TokenId>((i * 37 + 11) % decoder_.spec().vocab_size));
  const at::Tensor embedded = decoder_.Embed(ids);
  const at::Tensor alone = decoder_.Forward(embedded, {0, {400}});       // flash
  const at::Tensor prefixed = decoder_.Forward(embedded, {200, {200}});  // flash with a mask
  const at::Tensor two = at::cat({embedded.narrow(0, 0, 30), embedded.narrow(0, 0, 30)});
  const double tolerance = GetParam().dtype == at::kFloat ? 1e-5 : 2 * GetParam().tolerance;  // both sides are rounded
  EXPECT_LT(RelativeError(prefixed, alone), tolerance);
  EXPECT_LT(RelativeError(decoder_.Forward(two, {0, {30, 30}}).narrow(0, 30, 30), alone.narrow(0, 0, 30)), tolerance);
}

TEST_P(DecoderTest, FewerBlocksStopEarly) {
  const at::NoGradGuard no_grad;
  const Decoder cut = Decoder::Load(checkpoint_, {.compute = GetParam().dtype, .blocks = 2, .with_head = false});
  std::vector<TokenId> ids;
  const PackedBatch batch = Packed(ids);
  EXPECT_LT(RelativeError(cut.Forward(cut.Embed(ids), batch), GoldenRows("hidden.2")), GetParam().tolerance);
}

class BFloat16Embeddings : public DecoderTest {};

// transformers rounds the factor of Gemma's embeddings to the weights' dtype, and then the product, which here stays
// whole.
TEST_P(BFloat16Embeddings, EqualTransformers) {
  const at::NoGradGuard no_grad;
  const at::Tensor embedded = decoder_.Embed(GoldenIds(golden_, "seq1.ids"));
  EXPECT_EQ(RelativeError(embedded.to(at::kBFloat16), Golden(golden_, "embeddings_bf16")), 0);
}

class AdaptersTest : public DecoderTest {};

TEST_P(AdaptersTest, LeaveBiasesAndNormsAloneAndMerge) {
  const at::NoGradGuard no_grad;
  std::vector<TokenId> ids;
  const PackedBatch batch = Packed(ids);
  const at::Tensor before = decoder_.Forward(decoder_.Embed(ids), batch);
  decoder_.AddAdapters({.rank = 4, .alpha = 8}, 1);
  EXPECT_EQ(RelativeError(decoder_.Forward(decoder_.Embed(ids), batch), before), 0);
  for (NamedTensor& weight : decoder_.AdapterWeights()) {
    if (weight.name.find("lora_B") != std::string::npos) weight.tensor.copy_(at::randn(weight.tensor.sizes()) * 0.1);
  }
  const at::Tensor adapted = decoder_.Forward(decoder_.Embed(ids), batch);
  EXPECT_GT(RelativeError(adapted, before), 0.01);
  decoder_.MergeAdapters();
  EXPECT_LT(RelativeError(decoder_.Forward(decoder_.Embed(ids), batch), adapted), 1e-5);
  EXPECT_TRUE(decoder_.AdapterWeights().empty());
}

std::vector<Variant> Variants(at::ScalarType dtype, double tolerance) {
  std::vector<Variant> variants;
  for (const char* name : {"families/llama3", "families/mistral", "families/qwen2", "families/qwen3",
                           "families/gemma3_text", "families/gemma3", "tiny_llama", "tiny_llama_untied"}) {
    variants.push_back({name, dtype, tolerance});
  }
  return variants;
}

std::vector<Variant> OfFamilies(at::ScalarType dtype) {
  std::vector<Variant> variants = Variants(dtype, 0);
  variants.resize(6);
  return variants;
}

std::string NameOf(const ::testing::TestParamInfo<Variant>& variant) {
  return variant.param.name.substr(variant.param.name.find('/') + 1);
}

INSTANTIATE_TEST_SUITE_P(Fp32, DecoderTest, ::testing::ValuesIn(Variants(at::kFloat, 2e-4)), NameOf);
INSTANTIATE_TEST_SUITE_P(BFloat16, DecoderTest, ::testing::ValuesIn(Variants(at::kBFloat16, 0.03)), NameOf);
INSTANTIATE_TEST_SUITE_P(Families, BFloat16Embeddings, ::testing::ValuesIn(OfFamilies(at::kBFloat16)), NameOf);
INSTANTIATE_TEST_SUITE_P(All, AdaptersTest, ::testing::ValuesIn(Variants(at::kFloat, 0)), NameOf);

TEST(DecoderLoad, RefusesMoreBlocksThanTheModelHas) {
  const Checkpoint checkpoint = Checkpoint::Open(TinyLlama());
  try {
    Decoder::Load(checkpoint, {.blocks = 4});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("1 to 3"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace nla
