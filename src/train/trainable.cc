// Gradient bookkeeping of the trained tensors.
#include "train/trainable.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/fail.h"
#include "model/decoder.h"
#include "model/ops/rows.h"

namespace nla {
namespace {

// Elements whose squares are summed as one unit.
constexpr int64_t kSumChunk = 1 << 14;

template <typename T>
double SumOfSquares(const at::Tensor& tensor) {
  const T* data = tensor.const_data_ptr<T>();
  const int64_t size = tensor.numel();
  std::vector<double> sums((size + kSumChunk - 1) / kSumChunk);
  at::parallel_for(0, static_cast<int64_t>(sums.size()), 4, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * kSumChunk;
      const int64_t last = std::min(size, first + kSumChunk);
      double lanes[8] = {};
      const auto add = [&](int64_t i, int64_t lane) {
        const double x = ops::ToFloat(data[i]);
        lanes[lane] += x * x;
      };
      int64_t i = first;
      for (; i + 8 <= last; i += 8) {
        for (int64_t lane = 0; lane < 8; ++lane) add(i + lane, lane);
      }
      for (; i < last; ++i) add(i, i % 8);
      for (const double lane : lanes) sums[chunk] += lane;
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

// sum += addend, fp32 += fp32 or bf16.
void AddTo(at::Tensor& sum, const at::Tensor& addend) {
  float* to = sum.mutable_data_ptr<float>();
  ops::DispatchCompute(addend.scalar_type(), [&](auto t) {
    const auto* from = addend.const_data_ptr<decltype(t)>();
    at::parallel_for(0, sum.numel(), ops::kElementsPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] += ops::ToFloat(from[i]);
    });
  });
}

}  // namespace

std::vector<NamedTensor> TrainedWeights(Decoder& decoder) {
  return decoder.lora().rank > 0 ? decoder.AdapterWeights() : decoder.Weights();
}

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
    trainables.push_back(std::move(trainable));
  }
  return trainables;
}

void CollectGradients(std::span<Trainable> trainables) {
  const at::NoGradGuard no_grad;
  for (Trainable& trainable : trainables) {
    at::Tensor& fresh = trainable.live.mutable_grad();
    if (!fresh.defined()) continue;
    if (!trainable.grad.defined()) {
      trainable.grad = fresh.contiguous();
    } else {
      if (trainable.grad.scalar_type() != at::kFloat) trainable.grad = trainable.grad.to(at::kFloat);
      AddTo(trainable.grad, fresh.contiguous());
    }
    fresh.reset();
  }
}

double GradientNorm(std::span<const Trainable> trainables) {
  double total = 0;
  for (const Trainable& trainable : trainables) {
    if (!trainable.grad.defined()) continue;
    ops::DispatchCompute(trainable.grad.scalar_type(),
                         [&](auto t) { total += SumOfSquares<decltype(t)>(trainable.grad); });
  }
  return std::sqrt(total);
}

void ClearGradients(std::span<Trainable> trainables) {
  for (Trainable& trainable : trainables) {
    trainable.grad.reset();
    trainable.live.mutable_grad().reset();
  }
}

void CopyMasterToLive(const Trainable& trainable) {
  const at::NoGradGuard no_grad;
  if (trainable.live.scalar_type() != at::kFloat) trainable.live.detach().copy_(trainable.master);
}

}  // namespace nla
