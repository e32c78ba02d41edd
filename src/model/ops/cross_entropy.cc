// Chunked cross-entropy: per chunk of rows, logits, their log-sum-exp, the loss, and both gradients at once.
#include "model/ops/cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "model/ops/autograd.h"
#include "model/ops/rows.h"

namespace nla::ops {
namespace {

constexpr int64_t kChunkRows = 128;

// Turns a chunk of logits [n, V] into softmax − onehot in place (when `make_gradient`), and returns each row's log p.
template <typename T>
void ScoreRows(at::Tensor& logits, const int64_t* targets, bool make_gradient, float* logprobs) {
  const int64_t width = logits.size(1);
  T* data = logits.mutable_data_ptr<T>();
  ForRows(logits.size(0), width, [&](int64_t row) {
    T* x = data + row * width;
    float largest = ToFloat(x[0]);
#pragma omp simd reduction(max : largest)
    for (int64_t i = 1; i < width; ++i) largest = std::max(largest, ToFloat(x[i]));
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < width; ++i) sum += Exp(ToFloat(x[i]) - largest);
    const int64_t target = targets[row];
    logprobs[row] = ToFloat(x[target]) - largest - std::log(sum);
    if (!make_gradient) return;
    const float inverse = 1.0F / sum;
    const float probability = Exp(ToFloat(x[target]) - largest) * inverse;
    for (int64_t i = 0; i < width; ++i) x[i] = FromFloat<T>(Exp(ToFloat(x[i]) - largest) * inverse);
    x[target] = FromFloat<T>(probability - 1.0F);
  });
}

struct Gradients {
  at::Tensor* hidden = nullptr;  // filled when not null, [R, D]
  at::Tensor* head = nullptr;    // fp32 sum, [V, D]
};

// log p of every row's target, fp32 [R].
at::Tensor RunChunks(const at::Tensor& normed, const at::Tensor& head, const at::Tensor& targets,
                     const Gradients& out) {
  const int64_t rows = normed.size(0);
  const bool make_gradient = out.hidden != nullptr || out.head != nullptr;
  at::Tensor logprobs = at::empty({rows}, normed.options().dtype(at::kFloat));
  for (int64_t begin = 0; begin < rows; begin += kChunkRows) {
    const int64_t n = std::min(kChunkRows, rows - begin);
    const at::Tensor hidden = normed.narrow(0, begin, n);
    at::Tensor logits = at::mm(hidden, head.t());
    DispatchCompute(logits.scalar_type(), [&](auto t) {
      ScoreRows<decltype(t)>(logits, targets.const_data_ptr<int64_t>() + begin, make_gradient,
                             logprobs.mutable_data_ptr<float>() + begin);
    });
    if (out.hidden != nullptr) out.hidden->narrow(0, begin, n).copy_(at::mm(logits, head));
    if (out.head != nullptr) out.head->add_(at::mm(logits.t(), hidden));
  }
  return logprobs;
}

}  // namespace

at::Tensor SumCrossEntropy(const at::Tensor& normed_RD, const at::Tensor& head_VD, const at::Tensor& targets_R) {
  const auto forward = [&]() -> ForwardResult {
    at::Tensor grad_hidden;
    at::Tensor grad_head;
    if (normed_RD.requires_grad()) grad_hidden = at::empty_like(normed_RD);
    if (head_VD.requires_grad()) grad_head = at::zeros(head_VD.sizes(), head_VD.options().dtype(at::kFloat));
    const at::Tensor logprobs = RunChunks(
        normed_RD, head_VD, targets_R,
        {.hidden = grad_hidden.defined() ? &grad_hidden : nullptr, .head = grad_head.defined() ? &grad_head : nullptr});
    return {{logprobs.sum().neg()}, {grad_hidden, grad_head}};
  };
  const auto backward = [head_dtype = head_VD.scalar_type()](const Tensors& saved, const Tensors& grads) -> Tensors {
    at::Tensor grad_hidden;
    at::Tensor grad_head;
    if (saved[0].defined()) grad_hidden = saved[0] * grads[0].to(saved[0].scalar_type());
    if (saved[1].defined()) grad_head = (saved[1] * grads[0]).to(head_dtype);
    return {grad_hidden, grad_head};
  };
  return Differentiable({normed_RD, head_VD}, forward, backward)[0];
}

at::Tensor TargetLogprobs(const at::Tensor& normed_RD, const at::Tensor& head_VD, const at::Tensor& targets_R) {
  const at::NoGradGuard no_grad;
  return RunChunks(normed_RD, head_VD, targets_R, {});
}

}  // namespace nla::ops
