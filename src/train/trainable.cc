// Gradient bookkeeping of the trained tensors.
#include "train/trainable.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/fail.h"
#include "model/ops/rows.h"

namespace nla {
namespace {

// Elements whose squares are summed as one unit.
constexpr int64_t kSumChunk = 1 << 14;

double SumOfSquares(const at::Tensor& tensor) {
  const float* data = tensor.const_data_ptr<float>();
  const int64_t size = tensor.numel();
  std::vector<double> sums((size + kSumChunk - 1) / kSumChunk);
  at::parallel_for(0, static_cast<int64_t>(sums.size()), 4, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * kSumChunk;
      const int64_t last = std::min(size, first + kSumChunk);
      double lanes[8] = {};
      int64_t i = first;
      for (; i + 8 <= last; i += 8) {
        for (int lane = 0; lane < 8; ++lane) lanes[lane] += static_cast<double>(data[i + lane]) * data[i + lane];
      }
      for (; i < last; ++i) lanes[i % 8] += static_cast<double>(data[i]) * data[i];
      for (const double lane : lanes) sums[chunk] += lane;
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

void AddBf16(at::Tensor& sum, const at::Tensor& addend) {
  const at::Tensor contiguous = addend.contiguous();
  const c10::BFloat16* from = contiguous.const_data_ptr<c10::BFloat16>();
  float* to = sum.mutable_data_ptr<float>();
  at::parallel_for(0, sum.numel(), ops::kElementsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] += ops::ToFloat(from[i]);
  });
}

}  // namespace

std::vector<Trainable> MakeTrainables(std::span<const NamedTensor> tensors) {
  std::vector<Trainable> trainables;
  std::set<const void*> seen;
  for (const NamedTensor& named : tensors) {
    Trainable trainable{.name = named.name, .live = named.tensor, .master = {}, .grad = {}};
    NLA_CHECK(trainable.live.is_contiguous() && seen.insert(trainable.live.const_data_ptr()).second);
    const bool is_fp32 = trainable.live.scalar_type() == at::kFloat;
    NLA_CHECK(is_fp32 || trainable.live.scalar_type() == at::kBFloat16);
    trainable.live.requires_grad_(true);
    trainable.master = is_fp32 ? trainable.live.detach() : trainable.live.detach().to(at::kFloat);
    trainable.grad = at::zeros_like(trainable.master);
    // Autograd adds to a gradient that is there already, in place.
    if (is_fp32) trainable.live.mutable_grad() = trainable.grad;
    trainables.push_back(std::move(trainable));
  }
  return trainables;
}

void CollectGradients(std::span<Trainable> trainables) {
  const at::NoGradGuard no_grad;
  for (Trainable& trainable : trainables) {
    at::Tensor& fresh = trainable.live.mutable_grad();
    if (!fresh.defined()) continue;
    if (trainable.live.scalar_type() == at::kBFloat16) {
      AddBf16(trainable.grad, fresh);
      fresh.reset();
    } else if (!fresh.is_same(trainable.grad)) {
      trainable.grad.add_(fresh);
      fresh = trainable.grad;
    }
  }
}

double GradientNorm(std::span<const Trainable> trainables) {
  double total = 0;
  for (const Trainable& trainable : trainables) total += SumOfSquares(trainable.grad);
  return std::sqrt(total);
}

void ClearGradients(std::span<Trainable> trainables) {
  const at::NoGradGuard no_grad;
  for (Trainable& trainable : trainables) {
    trainable.grad.zero_();
    if (trainable.live.scalar_type() == at::kBFloat16) trainable.live.mutable_grad().reset();
  }
}

void CopyMasterToLive(const Trainable& trainable) {
  const at::NoGradGuard no_grad;
  if (trainable.live.scalar_type() != at::kFloat) trainable.live.detach().copy_(trainable.master);
}

}  // namespace nla
