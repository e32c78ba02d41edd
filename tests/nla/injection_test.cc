// Injection: norms of the injected rows by both rules, what stays as it is, and what is refused.
#include "nla/injection.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error_testing.h"

namespace nla {
namespace {

using testing::HasSubstr;

constexpr Scale kTwelve{.kind = Scale::Kind::kNumber, .number = 12};

double NormOf(const at::Tensor& row) {
  double square = 0;
  const at::Tensor values = row.contiguous();
  for (int64_t i = 0; i < values.numel(); ++i) square += std::pow(values.const_data_ptr<float>()[i], 2.0);
  return std::sqrt(square);
}

// Largest |row − factor·vector| entry.
double Difference(const at::Tensor& row, const at::Tensor& vector, double factor) {
  return (row - vector * factor).abs().max().item<double>();
}

class InjectionTest : public testing::Test {
 protected:
  at::Tensor hidden_ = at::randn({6, 16});
  at::Tensor vectors_ = at::randn({2, 16}) * 7;
  at::Tensor sites_ = at::tensor(std::vector<int64_t>{4, 1}, at::kLong);
};

TEST_F(InjectionTest, ReplaceWritesTheVectorAtTheScale) {
  const at::Tensor out = Inject(hidden_, vectors_, sites_, {InjectionRule::kReplace, kTwelve});
  EXPECT_NEAR(NormOf(out[4]), 12, 1e-5);
  EXPECT_LT(Difference(out[4], vectors_[0], 12 / NormOf(vectors_[0])), 1e-5);
  EXPECT_LT(Difference(out[1], vectors_[1], 12 / NormOf(vectors_[1])), 1e-5);
  for (const int64_t row : {0, 2, 3, 5}) EXPECT_TRUE(at::equal(out[row], hidden_[row])) << row;
}

TEST_F(InjectionTest, ScaleMayBeTheWidthOrNothing) {
  const at::Tensor by_width = Inject(hidden_, vectors_, sites_, {InjectionRule::kReplace, {}});
  EXPECT_NEAR(NormOf(by_width[4]), 4, 1e-5);  // sqrt(16)
  const Scale none{.kind = Scale::Kind::kNone};
  EXPECT_TRUE(at::equal(Inject(hidden_, vectors_, sites_, {InjectionRule::kReplace, none})[1], vectors_[1]));
}

TEST_F(InjectionTest, AddAddsTheVectorAtTheRowsOwnNorm) {
  const at::Tensor out = Inject(hidden_, vectors_, sites_, {InjectionRule::kAdd, kTwelve});
  const at::Tensor added = out[4] - hidden_[4];
  EXPECT_NEAR(NormOf(added), NormOf(hidden_[4]), 1e-5);
  EXPECT_LT(Difference(added, vectors_[0], NormOf(hidden_[4]) / NormOf(vectors_[0])), 1e-5);
  EXPECT_TRUE(at::equal(out[0], hidden_[0]));
}

TEST_F(InjectionTest, AZeroVectorStaysZero) {
  const at::Tensor zeros = at::zeros({2, 16});
  const at::Tensor replaced = Inject(hidden_, zeros, sites_, {InjectionRule::kReplace, kTwelve});
  EXPECT_EQ(NormOf(replaced[4]), 0);
  EXPECT_EQ(NormOf(replaced[1]), 0);
  EXPECT_TRUE(at::equal(Inject(hidden_, zeros, sites_, {InjectionRule::kAdd, kTwelve}), hidden_));
}

TEST_F(InjectionTest, NormsOfVerySmallAndLargeVectorsAreExact) {
  for (const float size : {1e-15F, 1e15F}) {
    const at::Tensor out = Inject(hidden_, vectors_ * size, sites_, {InjectionRule::kReplace, kTwelve});
    EXPECT_NEAR(NormOf(out[4]), 12, 1e-4) << size;
  }
}

TEST_F(InjectionTest, RefusesNanAndInfNamingTheRow) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    at::Tensor vectors = vectors_.clone();
    vectors.mutable_data_ptr<float>()[16 + 3] = bad;
    for (const InjectionRule rule : {InjectionRule::kReplace, InjectionRule::kAdd}) {
      EXPECT_THAT(Refusal([&] {
                    Inject(hidden_, vectors, sites_, {rule, kTwelve});
                  }),
                  HasSubstr("activation 1: holds NaN or Inf"));
    }
    EXPECT_THAT(Refusal([&] { ScaledActivations(vectors, {.kind = Scale::Kind::kNone}); }), HasSubstr("activation 1"));
  }
}

TEST_F(InjectionTest, GradientsReachEveryRowButTheReplaced) {
  at::Tensor hidden = hidden_.clone().set_requires_grad(true);
  Inject(hidden, vectors_, sites_, {InjectionRule::kReplace, kTwelve}).sum().backward();
  const at::Tensor sums = hidden.grad().sum(1);
  for (int64_t row = 0; row < 6; ++row) {
    EXPECT_EQ(sums[row].item<float>(), row == 4 || row == 1 ? 0.F : 16.F) << row;
  }
}

}  // namespace
}  // namespace nla
