// AdamW, clipping and gradient collection against torch (tools/goldens/optimizer.py); what a non-finite gradient does.
#include "train/optimizer.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/file.h"
#include "model/tensor_io.h"
#include "train/train_testing.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

constexpr int kTensors = 5;
constexpr int kSteps = 8;

class Golden {
 public:
  at::Tensor Read(const std::string& name) const {
    const TensorView* view = file_.Find(name);
    EXPECT_NE(view, nullptr) << name;
    return ToTensor(*view, view->shape, at::kFloat, name);
  }

 private:
  SafetensorsFile file_ = SafetensorsFile::Open(fs::path(NLA_SOURCE_DIR) / "tests/train/golden/optimizer.safetensors");
};

OptimizerOptions GoldenOptions() {
  OptimizerOptions options;
  options.lr = 0.01;
  options.schedule = {.shape = "constant", .warmup_steps = 0, .floor = 0};
  options.weight_decay = 0.1;
  return options;
}

std::vector<NamedTensor> StartTensors(const Golden& golden, at::ScalarType dtype) {
  std::vector<NamedTensor> tensors;
  for (int i = 0; i < kTensors; ++i) {
    tensors.push_back({"t" + std::to_string(i), golden.Read("start." + std::to_string(i)).to(dtype)});
  }
  return tensors;
}

// Puts a gradient where a backward pass would, and collects it.
void GiveGradient(Trainable& trainable, const at::Tensor& grad) {
  trainable.live.mutable_grad() = grad.to(trainable.live.scalar_type()).clone();
  CollectGradients(std::span(&trainable, 1));
}

bool SameBits(const at::Tensor& a, const at::Tensor& b) {
  return a.nbytes() == b.nbytes() && std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

TEST(Optimizer, FollowsTorchAdamW) {
  const Golden golden;
  const at::Tensor norms = golden.Read("norm");
  Optimizer optimizer(StartTensors(golden, at::kFloat), GoldenOptions(), kSteps);
  for (int step = 0; step < kSteps; ++step) {
    for (int i = 0; i < kTensors; ++i) {
      GiveGradient(optimizer.trainables()[i], golden.Read("grad." + std::to_string(step) + "." + std::to_string(i)));
    }
    const StepOutcome outcome = optimizer.Step();
    EXPECT_NEAR(outcome.grad_norm, norms[step].item<double>(), 1e-6 * outcome.grad_norm);
    for (int i = 0; i < kTensors; ++i) {
      const at::Tensor wanted = golden.Read("after." + std::to_string(step) + "." + std::to_string(i));
      // fp32 against fp64: eight roundings of numbers near 1.
      EXPECT_LT((optimizer.trainables()[i].live - wanted).abs().max().item<double>(), 2e-6) << step << " " << i;
      EXPECT_FALSE(optimizer.trainables()[i].grad.defined());
    }
  }
}

TEST(Optimizer, ThreadCountDoesNotChangeABit) {
  const Golden golden;
  const int threads = at::get_num_threads();
  const auto run = [&](int count) {
    at::set_num_threads(count);
    Optimizer optimizer({{{"big", at::zeros({300, 1000})}}}, GoldenOptions(), 10);
    for (int step = 0; step < 3; ++step) {
      const at::Tensor grad = golden.Read("grad.1.4").repeat({15, 40});
      GiveGradient(optimizer.trainables()[0], grad * (step + 1));
      optimizer.Step();
    }
    return optimizer.trainables()[0].master;
  };
  const at::Tensor one = run(1);
  const at::Tensor two = run(2);
  at::set_num_threads(threads);
  EXPECT_TRUE(SameBits(one, two));
  EXPECT_GT(one.abs().max().item<double>(), 0);
}

TEST(Optimizer, Bf16ModelReadsTheRoundedMaster) {
  const Golden golden;
  Optimizer optimizer(StartTensors(golden, at::kBFloat16), GoldenOptions(), kSteps);
  for (int step = 0; step < 3; ++step) {
    for (int micro = 0; micro < 2; ++micro) {
      for (int i = 0; i < kTensors; ++i) {
        GiveGradient(optimizer.trainables()[i], golden.Read("grad." + std::to_string(step) + "." + std::to_string(i)));
      }
      EXPECT_FALSE(optimizer.trainables()[0].live.grad().defined());
    }
    // Two equal micro-batches add up in fp32.
    const at::Tensor once = golden.Read("grad." + std::to_string(step) + ".4").to(at::kBFloat16).to(at::kFloat);
    EXPECT_TRUE(SameBits(optimizer.trainables()[4].grad, once + once));
    optimizer.Step();
    for (const Trainable& trainable : optimizer.trainables()) {
      EXPECT_TRUE(SameBits(trainable.live.detach(), trainable.master.to(at::kBFloat16))) << trainable.name;
    }
  }
}

TEST(Optimizer, NonFiniteGradientIsSkippedAndCounted) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const Golden golden;
    Optimizer optimizer(StartTensors(golden, at::kFloat), GoldenOptions(), kSteps);
    const auto give = [&](bool poisoned) {
      for (int i = 0; i < kTensors; ++i)
        GiveGradient(optimizer.trainables()[i], golden.Read("grad.1." + std::to_string(i)));
      if (poisoned) optimizer.trainables()[3].grad[0][0] = bad;
    };
    give(true);
    const StepOutcome skipped = optimizer.Step();
    EXPECT_TRUE(skipped.skipped);
    EXPECT_FALSE(std::isfinite(skipped.grad_norm));
    for (int i = 0; i < kTensors; ++i) {
      EXPECT_TRUE(SameBits(optimizer.trainables()[i].live.detach(), golden.Read("start." + std::to_string(i))));
      EXPECT_FALSE(optimizer.trainables()[i].grad.defined()) << "the poison must not stay";
    }
    EXPECT_EQ(optimizer.counters().step, 1);
    EXPECT_EQ(optimizer.counters().updates, 0);
    EXPECT_EQ(optimizer.counters().skipped, 1);
    give(false);
    EXPECT_FALSE(optimizer.Step().skipped);
    EXPECT_EQ(optimizer.counters().updates, 1);
    EXPECT_EQ(optimizer.counters().skipped, 1);
  }
}

TEST(Optimizer, NoClippingWhenClipIsZero) {
  OptimizerOptions options = GoldenOptions();
  options.weight_decay = 0;
  const auto after = [&](double clip) {
    options.clip = clip;
    Optimizer optimizer({{{"t", at::zeros({4})}}}, options, 1);
    // With eps 0 AdamW's first step does not see the gradient's size; with a large eps it does.
    GiveGradient(optimizer.trainables()[0], at::full({4}, 100.0));
    optimizer.Step();
    return optimizer.trainables()[0].master[0].item<double>();
  };
  options.eps = 1;
  EXPECT_NEAR(after(0), -0.01 * 100 / 101, 1e-6);
  EXPECT_NEAR(after(1), -0.01 * 0.5 / 1.5, 1e-6);  // norm 200 cut to 1: each of four is 0.5
}

TEST(Optimizer, RefusesSettingsOutOfRange) {
  OptimizerOptions options;
  options.beta2 = 1;
  EXPECT_NE(ErrorOf([&] { CheckOptions(options); }).find("beta2"), std::string::npos);
  options = {};
  options.lr = -1;
  EXPECT_NE(ErrorOf([&] { CheckOptions(options); }).find("lr"), std::string::npos);
  options = {};
  options.schedule.shape = "cosin";
  EXPECT_NE(ErrorOf([&] { CheckOptions(options); }).find("constant, cosine or linear"), std::string::npos);
}

TEST(Schedule, Values) {
  const ScheduleOptions cosine{.shape = "cosine", .warmup_steps = 4, .floor = 0.1};
  EXPECT_DOUBLE_EQ(ScheduleFactor(cosine, 0, 105), 0.25);
  EXPECT_DOUBLE_EQ(ScheduleFactor(cosine, 3, 105), 1.0);
  EXPECT_DOUBLE_EQ(ScheduleFactor(cosine, 4, 105), 1.0);
  EXPECT_NEAR(ScheduleFactor(cosine, 54, 105), 0.55, 1e-12);
  EXPECT_NEAR(ScheduleFactor(cosine, 29, 105), 0.1 + 0.9 * (1 + std::sqrt(0.5)) / 2, 1e-12);
  EXPECT_NEAR(ScheduleFactor(cosine, 104, 105), 0.1, 1e-12);
  EXPECT_NEAR(ScheduleFactor(cosine, 500, 105), 0.1, 1e-12);
  const ScheduleOptions linear{.shape = "linear", .warmup_steps = 0, .floor = 0};
  EXPECT_DOUBLE_EQ(ScheduleFactor(linear, 0, 11), 1.0);
  EXPECT_NEAR(ScheduleFactor(linear, 3, 11), 0.7, 1e-12);
  EXPECT_NEAR(ScheduleFactor(linear, 10, 11), 0.0, 1e-12);
  const ScheduleOptions constant{.shape = "constant", .warmup_steps = 2, .floor = 0.3};
  EXPECT_DOUBLE_EQ(ScheduleFactor(constant, 0, 10), 0.5);
  EXPECT_DOUBLE_EQ(ScheduleFactor(constant, 9, 10), 1.0);
  // Warm-up longer than the run, and a run of one step.
  EXPECT_DOUBLE_EQ(ScheduleFactor({.shape = "cosine", .warmup_steps = 100, .floor = 0}, 4, 5), 0.05);
  EXPECT_DOUBLE_EQ(ScheduleFactor(linear, 0, 1), 1.0);
}

}  // namespace
}  // namespace nla
