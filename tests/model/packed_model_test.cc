// A decoder that was packed against the same decoder as it was: every family, in every format; rows in any company;
// packing at load, over adapters, and again.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "base/scratch_testing.h"
#include "model/decoder.h"
#include "model/model_testing.h"

namespace nla {
namespace {

using packed::Format;
using testing::GoldenIds;
using testing::RelativeError;
using testing::TinyLlama;

struct Variant {
  std::string name;
  Format format;
  // What rounding weights does: 8 bits 0.7 % of each linear's output (packed_linear_test.cc), magnified as
  // decoder_test.cc says of bf16; measured up to 0.075. bf16 0.2 %.
  double rounding;
};

// The logits of two sequences that are read in pieces and then token by token. `embed` gives the rows.
at::Tensor Logits(const Decoder& decoder, const std::vector<TokenId>& ids, const Decoder& embed) {
  const at::NoGradGuard no_grad;
  KvPages cache(decoder.spec(), decoder.blocks(), 8, decoder.compute());
  const std::vector<int32_t> pages[2] = {{5, 2}, {0, 7}};
  int64_t stored[2] = {0, 0};
  std::vector<at::Tensor> logits;
  const auto extend = [&](int64_t first, int64_t second) {
    std::vector<TokenId> rows;
    std::vector<PagedRows> sequences;
    const int64_t counts[2] = {first, second};
    for (int i = 0; i < 2; ++i) {
      if (counts[i] == 0) continue;
      rows.insert(rows.end(), ids.begin() + stored[i], ids.begin() + stored[i] + counts[i]);
      sequences.push_back({pages[i], stored[i], counts[i]});
      stored[i] += counts[i];
    }
    const at::Tensor out = decoder.Extend(embed.Embed(rows), sequences, cache);
    logits.push_back(decoder.Logits(decoder.FinalNorm(out)).to(at::kFloat));
  };
  extend(6, 0);
  extend(9, 10);
  for (int step = 0; step < 8; ++step) extend(1, 1);
  return at::cat(logits);
}

at::Tensor Logits(const Decoder& decoder, const std::vector<TokenId>& ids) { return Logits(decoder, ids, decoder); }

// Every matrix to the nearest one that the format can hold.
void RoundWeights(Decoder& decoder, Format format) {
  const at::NoGradGuard no_grad;
  for (NamedTensor& weight : decoder.Weights()) {
    if (weight.tensor.dim() != 2) continue;
    if (format == Format::kBFloat16) {
      weight.tensor.copy_(weight.tensor.to(at::kBFloat16));
      continue;
    }
    const at::Tensor step = weight.tensor.abs().amax(1, /*keepdim=*/true) / 127;
    weight.tensor.copy_((weight.tensor / step).round() * step);
  }
}

class PackedDecoderTest : public ::testing::TestWithParam<Variant> {
 protected:
  PackedDecoderTest()
      : directory_(TinyLlama(GetParam().name)),
        ids_(GoldenIds(SafetensorsFile::Open(directory_ / "golden.safetensors"), "seq1.ids")) {}

  std::filesystem::path directory_;
  std::vector<TokenId> ids_;
};

TEST_P(PackedDecoderTest, GivesThePlainDecodersLogits) {
  const Checkpoint checkpoint = Checkpoint::Open(directory_);
  Decoder decoder = Decoder::Load(checkpoint, {});
  const at::Tensor plain = Logits(decoder, ids_);
  EXPECT_FALSE(decoder.packing());
  decoder.Pack(GetParam().format);
  EXPECT_EQ(decoder.packing(), GetParam().format);
  const at::Tensor packed = Logits(decoder, ids_);
  if (GetParam().format == Format::kFloat) {
    EXPECT_LT(RelativeError(packed, plain), 1e-4);  // the same products in another order
  } else {
    // The plain path over rounded weights does what the packed one does, but for the 8-bit one's rounding of inputs to
    // 15 bits. Embeddings are not rounded.
    Decoder rounded = Decoder::Load(checkpoint, {});
    RoundWeights(rounded, GetParam().format);
    const double inputs = GetParam().format == Format::kInt8 ? 5e-3 : 1e-4;  // measured up to 0.0029
    EXPECT_LT(RelativeError(packed, Logits(rounded, ids_, decoder)), inputs);
    EXPECT_LT(RelativeError(packed, plain), GetParam().rounding);
  }
  const Decoder loaded = Decoder::Load(checkpoint, {.packing = GetParam().format});
  EXPECT_TRUE(Logits(loaded, ids_).equal(packed));
}

TEST_P(PackedDecoderTest, KeepsItsCacheInTheComputeDtype) {
  const Checkpoint checkpoint = Checkpoint::Open(directory_);
  const at::Tensor plain = Logits(Decoder::Load(checkpoint, {}), ids_);
  const Decoder packed = Decoder::Load(checkpoint, {.compute = at::kBFloat16, .packing = GetParam().format});
  EXPECT_LT(RelativeError(Logits(packed, ids_), plain),
            0.03 + GetParam().rounding);  // decoder_test.cc's bound of bf16
}

TEST_P(PackedDecoderTest, ARowIsTheSameInAnyCompany) {
  const at::NoGradGuard no_grad;
  const Decoder decoder = Decoder::Load(Checkpoint::Open(directory_), {.packing = GetParam().format});
  const at::Tensor rows = decoder.Embed(ids_);
  const std::vector<int32_t> pages[2] = {{5, 2}, {0, 7}};
  KvPages together(decoder.spec(), decoder.blocks(), 8, decoder.compute());
  const PagedRows both[2] = {{pages[0], 0, 23}, {pages[1], 0, 20}};
  const at::Tensor whole = decoder.Extend(at::cat({rows, rows.narrow(0, 0, 20)}), both, together);
  EXPECT_TRUE(whole.narrow(0, 23, 20).equal(whole.narrow(0, 0, 20)));
  // Rows that are asked for alone, none, and their keys and values after that.
  KvPages some(decoder.spec(), decoder.blocks(), 8, decoder.compute());
  const std::vector<int64_t> wanted = {0, 5, 21, 24, 42};
  EXPECT_TRUE(decoder.Extend(at::cat({rows, rows.narrow(0, 0, 20)}), both, some, wanted)
                  .equal(whole.index_select(0, at::tensor(wanted, at::kLong))));
  const PagedRows twenty{pages[0], 0, 20};
  EXPECT_EQ(decoder.Extend(rows.narrow(0, 0, 20), {&twenty, 1}, some, std::vector<int64_t>{}).size(0), 0);
  const PagedRows three{pages[0], 20, 3};
  EXPECT_TRUE(decoder.Extend(rows.narrow(0, 20, 3), {&three, 1}, some).equal(whole.narrow(0, 20, 3)));
  KvPages alone(decoder.spec(), decoder.blocks(), 8, decoder.compute());
  std::vector<at::Tensor> steps;
  for (int64_t i = 0; i < 23; ++i) {
    const PagedRows one{pages[1], i, 1};
    steps.push_back(decoder.Extend(rows.narrow(0, i, 1), {&one, 1}, alone));
  }
  EXPECT_TRUE(at::cat(steps).equal(whole.narrow(0, 0, 23)));
  const at::Tensor normed = decoder.FinalNorm(whole);
  EXPECT_TRUE(decoder.Logits(normed.narrow(0, 7, 1)).equal(decoder.Logits(normed).narrow(0, 7, 1)));
}

TEST_P(PackedDecoderTest, MergesAdaptersAndPacksAgain) {
  const at::NoGradGuard no_grad;
  const Checkpoint checkpoint = Checkpoint::Open(directory_);
  Decoder decoder = Decoder::Load(checkpoint, {});
  decoder.Pack(GetParam().format);
  const at::Tensor before = Logits(decoder, ids_);
  Decoder adapted = Decoder::Load(checkpoint, {});
  adapted.AddAdapters({.rank = 4, .alpha = 8}, 1);
  for (NamedTensor& weight : adapted.AdapterWeights()) {
    if (weight.name.find("lora_B") != std::string::npos) weight.tensor.copy_(at::randn(weight.tensor.sizes()) * 0.1);
  }
  const at::Tensor plain = Logits(adapted, ids_);
  adapted.Pack(GetParam().format);
  const at::Tensor packed = Logits(adapted, ids_);
  EXPECT_GT(RelativeError(packed, before), 0.1);
  EXPECT_LT(RelativeError(packed, plain), 1e-4 + GetParam().rounding);
  // The same from a directory of adapters, while the weights load.
  const ScratchDirectory scratch;
  std::filesystem::create_directories(scratch / "adapters");
  WriteAdapters(scratch / "adapters", adapted.lora(), "tiny", adapted.AdapterWeights(), at::kFloat);
  const Decoder loaded = Decoder::Load(checkpoint, {.packing = GetParam().format, .adapters = scratch / "adapters"});
  EXPECT_TRUE(Logits(loaded, ids_).equal(packed));
  // Weights that changed want packing again.
  for (NamedTensor& weight : adapted.AdapterWeights()) weight.tensor.zero_();
  EXPECT_TRUE(Logits(adapted, ids_).equal(packed));
  adapted.Pack(GetParam().format);
  EXPECT_TRUE(Logits(adapted, ids_).equal(before));
}

std::vector<Variant> Variants(Format format, double rounding) {
  std::vector<Variant> variants;
  for (const char* name : {"families/llama3", "families/mistral", "families/qwen2", "families/qwen3",
                           "families/gemma3_text", "families/gemma3", "tiny_llama", "tiny_llama_untied"}) {
    variants.push_back({name, format, rounding});
  }
  return variants;
}

std::string NameOf(const ::testing::TestParamInfo<Variant>& variant) {
  return variant.param.name.substr(variant.param.name.find('/') + 1);
}

INSTANTIATE_TEST_SUITE_P(Float, PackedDecoderTest, ::testing::ValuesIn(Variants(Format::kFloat, 0)), NameOf);
INSTANTIATE_TEST_SUITE_P(BFloat16, PackedDecoderTest, ::testing::ValuesIn(Variants(Format::kBFloat16, 0.03)), NameOf);
INSTANTIATE_TEST_SUITE_P(Int8, PackedDecoderTest, ::testing::ValuesIn(Variants(Format::kInt8, 0.12)), NameOf);

}  // namespace
}  // namespace nla
