// Packed linears against at::linear for every remainder of rows, outputs and inputs; every variant of the kernels
// against the one that every processor has; a row alone against the same row in company.
#include "model/packed/packed_linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "base/random.h"
#include "model/model_testing.h"
#include "model/packed/kernel_variants.h"

namespace nla::packed {
namespace {

using nla::testing::RelativeError;

PackedLinear Packed(Format format, const at::Tensor& weight, const at::Tensor& bias) {
  PanelMemory memory;  // the linear keeps its part
  return {format, weight, bias, memory};
}

// All outputs of all rows, as the decoder asks for them.
at::Tensor Outputs(const PackedLinear& linear, Format format, const at::Tensor& x) {
  LinearInputs inputs(format, x.size(0), x.size(1) + 5);
  for (int64_t row = 0; row < x.size(0); ++row) {
    inputs.Set(row, x.const_data_ptr<float>() + row * x.size(1), x.size(1));
  }
  at::Tensor out = at::zeros({x.size(0), linear.outputs()}, at::kFloat);
  for (int64_t first = 0; first < x.size(0); first += kMostRows) {
    for (int64_t panel = 0; panel < linear.panels(); ++panel) {
      linear.RunInto(panel, inputs, {first, std::min(kMostRows, x.size(0) - first)}, out.mutable_data_ptr<float>());
    }
  }
  return out;
}

struct Shape {
  int64_t rows, outputs, inputs;
};

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 97}) shapes.push_back({rows, 40, 66});
  for (const int64_t outputs : {1, 15, 16, 17, 31, 32, 33}) shapes.push_back({5, outputs, 64});
  for (const int64_t inputs : {1, 2, 3, 15, 16, 17, 577, 1536, 4099}) shapes.push_back({5, 24, inputs});
  return shapes;
}

TEST(PackedLinear, FloatsEqualLinear) {
  for (const Shape& shape : Shapes()) {
    const at::Tensor x = at::randn({shape.rows, shape.inputs});
    const at::Tensor weight = at::randn({shape.outputs, shape.inputs});
    const at::Tensor bias = at::randn({shape.outputs});
    for (const at::Tensor& one : {bias, at::Tensor()}) {
      const at::Tensor found = Outputs(Packed(Format::kFloat, weight, one), Format::kFloat, x);
      const at::Tensor wanted = one.defined() ? at::linear(x, weight, one) : at::linear(x, weight);
      // The same products in another order: each of up to 4099 additions rounds by 2^-24, mostly against each other.
      EXPECT_LT(RelativeError(found, wanted), 5e-6) << shape.rows << " " << shape.outputs << " " << shape.inputs;
    }
  }
}

TEST(PackedLinear, HalvesEqualTheSameWeightsInFp32) {
  for (const Shape& shape : Shapes()) {
    const at::Tensor x = at::randn({shape.rows, shape.inputs});
    const at::Tensor weight = at::randn({shape.outputs, shape.inputs});
    const at::Tensor rounded = weight.to(at::kBFloat16).to(at::kFloat);
    const at::Tensor bias = at::randn({shape.outputs});
    const at::Tensor found = Outputs(Packed(Format::kBFloat16, weight, bias), Format::kBFloat16, x);
    EXPECT_LT(RelativeError(found, at::linear(x, rounded, bias)), 5e-6)
        << shape.rows << " " << shape.outputs << " " << shape.inputs;
    // kFloat rounds nothing, and keeps halves where they lose nothing.
    EXPECT_TRUE(Outputs(Packed(Format::kFloat, rounded, bias), Format::kFloat, x).equal(found));
    if (shape.inputs * shape.outputs > 1) {
      EXPECT_FALSE(Outputs(Packed(Format::kFloat, weight, bias), Format::kFloat, x).equal(found));
    }
    // The same sums from fp32 panels: one number that bf16 does not hold keeps them.
    at::Tensor beside = at::cat({rounded, at::full({16, shape.inputs}, 0.1)});
    const at::Tensor wide = Outputs(Packed(Format::kFloat, beside, {}), Format::kFloat, x);
    EXPECT_TRUE(Outputs(Packed(Format::kBFloat16, weight, {}), Format::kBFloat16, x)
                    .equal(wide.narrow(1, 0, shape.outputs).contiguous()));
  }
}

// A weight is off by half a step of its output's scale at most, an input by half a step of its row's.
TEST(PackedLinear, EightBitsStayInsideTheirRounding) {
  for (const Shape& shape : Shapes()) {
    const at::Tensor x = at::randn({shape.rows, shape.inputs});
    const at::Tensor weight = at::randn({shape.outputs, shape.inputs});
    const at::Tensor bias = at::randn({shape.outputs});
    const at::Tensor found = Outputs(Packed(Format::kInt8, weight, bias), Format::kInt8, x).to(at::kDouble);
    const at::Tensor wanted = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
    const auto largest_input =
        static_cast<double>(std::min<int64_t>(32000, std::numeric_limits<int32_t>::max() / (127 * shape.inputs)));
    const at::Tensor weight_step = weight.abs().amax(1).to(at::kDouble) / 127;
    const at::Tensor input_step = x.abs().amax(1).to(at::kDouble) / largest_input;
    const at::Tensor from_weights = x.abs().sum(1).to(at::kDouble).unsqueeze(1) * weight_step / 2;
    const at::Tensor rounded =
        weight.abs().sum(1).to(at::kDouble) + weight_step * static_cast<double>(shape.inputs) / 2;
    const at::Tensor from_inputs = input_step.unsqueeze(1) / 2 * rounded;
    const at::Tensor excess = (found - wanted).abs() - (from_weights + from_inputs) * 1.001 - 1e-5;
    EXPECT_LT(excess.max().item<double>(), 0) << shape.rows << " " << shape.outputs << " " << shape.inputs;
    // Errors of single weights mostly cancel: a step of 4.2 standard deviations / 127 is off by 1 % of one at most.
    if (shape.inputs >= 64) {
      EXPECT_LT(RelativeError(found, wanted), 0.012);
    }
  }
}

// Weights that 8 bits hold without loss: what is left is the rounding of inputs to 15 bits, of at most half a step.
TEST(PackedLinear, InputsLoseNextToNothing) {
  const at::Tensor x = at::randn({7, 64});
  at::Tensor weight = (at::randn({48, 64}) * 30).round().clamp(-127, 127);
  weight.select(1, 5).fill_(127);  // so that the scale is 1
  const at::Tensor found = Outputs(Packed(Format::kInt8, weight, {}), Format::kInt8, x);
  const at::Tensor wanted = at::linear(x, weight);
  const at::Tensor most = (x.abs().amax(1) / 32000 / 2).unsqueeze(1) * weight.abs().sum(1);
  EXPECT_LT(((found - wanted).abs() - most * 1.001 - 1e-3).max().item<double>(), 0);
  // Half a step of 1/32000 of some 3 standard deviations, and as many signs as not.
  EXPECT_LT(RelativeError(found, wanted), 1e-4);
}

TEST(PackedLinear, TheLargestSumsFit) {
  for (const int64_t inputs : {512, 529, 1536, 18944}) {
    const at::Tensor x = at::ones({2, inputs});
    const at::Tensor found = Outputs(Packed(Format::kInt8, at::ones({16, inputs}), {}), Format::kInt8, x);
    EXPECT_LT(RelativeError(found, at::linear(x, at::ones({16, inputs}))), 1e-5) << inputs;
  }
}

TEST(PackedLinear, ARowIsTheSameInAnyCompany) {
  const at::Tensor x = at::randn({29, 147});
  const at::Tensor weight = at::randn({50, 147});
  for (const Format format : {Format::kFloat, Format::kBFloat16, Format::kInt8}) {
    const PackedLinear linear = Packed(format, weight, at::randn({50}));
    const at::Tensor together = Outputs(linear, format, x);
    for (int64_t first = 0; first < 29; ++first) {
      for (const int64_t count : {1, 2, 5, 8}) {
        if (first + count > 29) continue;
        EXPECT_TRUE(
            Outputs(linear, format, x.narrow(0, first, count).contiguous()).equal(together.narrow(0, first, count)))
            << first << " " << count;
      }
    }
  }
}

TEST(PackedLinear, TakesZerosAndOtherTypes) {
  const at::Tensor weight = at::randn({16, 32}).to(at::kBFloat16);
  const at::Tensor zeros = at::zeros({3, 32});
  for (const Format format : {Format::kFloat, Format::kBFloat16, Format::kInt8}) {
    EXPECT_TRUE(Outputs(Packed(format, weight, {}), format, zeros).equal(at::zeros({3, 16})));
    EXPECT_TRUE(Outputs(Packed(format, at::zeros({16, 32}), {}), format, at::randn({3, 32})).equal(at::zeros({3, 16})));
    const at::Tensor x = at::randn({3, 32});
    EXPECT_TRUE(Outputs(Packed(format, weight, {}), format, x)
                    .equal(Outputs(Packed(format, weight.to(at::kFloat), {}), format, x)));
  }
}

TEST(Int8Kernels, EveryVariantGivesThePortableOnesSums) {
  CounterRandom random(5, 0);
  for (const Int8Variant& variant : Int8Variants()) {
    for (const int64_t pairs : {1, 2, 3, 8, 33, 288, 768}) {
      const int64_t largest = std::min<int64_t>(32000, std::numeric_limits<int32_t>::max() / (127 * 2 * pairs));
      const int64_t stride = 2 * pairs + 6;
      const at::Tensor weights = at::zeros({pairs * kPanelOutputs * 2}, at::kChar);  // aligned as panels are
      std::vector<int16_t> rows(26 * stride);
      for (int64_t i = 0; i < weights.numel(); ++i) {
        weights.mutable_data_ptr<int8_t>()[i] = static_cast<int8_t>(static_cast<int64_t>(random.Below(255)) - 127);
      }
      for (int16_t& input : rows) {
        input = static_cast<int16_t>(static_cast<int64_t>(random.Below(2 * largest + 1)) - largest);
      }
      for (int64_t count = 1; count <= 26; ++count) {
        std::vector<int32_t> wanted(count * kPanelOutputs);
        std::vector<int32_t> found(count * kPanelOutputs);
        const Int8Job job{weights.const_data_ptr<int8_t>(), pairs, rows.data(), stride, count};
        Int8Portable(job, wanted.data());
        variant.run(job, found.data());
        ASSERT_EQ(found, wanted) << variant.name << " " << pairs << " " << count;
      }
    }
  }
}

TEST(FloatKernels, EveryVariantGivesTheVectorOnesSums) {
  for (const FloatVariant& variant : FloatVariants()) {
    for (const int64_t inputs : {1, 2, 3, 17, 576}) {
      const int64_t pairs = (inputs + 1) / 2;
      const int64_t stride = 2 * pairs + 6;
      const at::Tensor floats = at::randn({inputs, kPanelOutputs});
      const at::Tensor halves = at::randn({pairs, kPanelOutputs, 2}).to(at::kBFloat16);
      at::Tensor rows = at::randn({26, stride});
      if (inputs % 2 == 1) rows.select(1, inputs).zero_();
      for (int64_t count = 1; count <= 26; ++count) {
        const at::Tensor wanted = at::zeros({count, 20});
        const at::Tensor found = at::zeros({count, 20});
        FloatJob job{floats.const_data_ptr(), inputs, rows.const_data_ptr<float>(), stride, count};
        FloatVector8(job, wanted.mutable_data_ptr<float>(), 20);
        variant.floats(job, found.mutable_data_ptr<float>(), 20);
        ASSERT_TRUE(found.equal(wanted)) << variant.name << " fp32 " << inputs << " " << count;
        job.panel = halves.const_data_ptr();
        HalfVector8(job, wanted.mutable_data_ptr<float>(), 20);
        variant.halves(job, found.mutable_data_ptr<float>(), 20);
        ASSERT_TRUE(found.equal(wanted)) << variant.name << " bf16 " << inputs << " " << count;
      }
    }
  }
}

}  // namespace
}  // namespace nla::packed
