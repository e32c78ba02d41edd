// Chunked scores of target tokens: per chunk of rows, logits, their log-sum-exp, log p, and the gradients that need no
// number from later in the pass.
#include "model/ops/cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <utility>

#include "model/ops/autograd.h"
#include "model/ops/rows.h"

namespace nla::ops {
namespace {

constexpr int64_t kChunkRows = 128;

struct RowScores {
  float scale = 1;  // logits are multiplied by it first: 1 / temperature
  bool make_gradient = false;
  float* logprobs = nullptr;   // of the targets
  float* entropies = nullptr;  // of the whole distributions, when not null
};

// Writes each row's log p and entropy, and turns a chunk of logits [n, V] into softmax − onehot in place (when
// `make_gradient`).
template <typename T>
void ScoreRows(at::Tensor& logits, const int64_t* targets, const RowScores& out) {
  const int64_t width = logits.size(1);
  const float scale = out.scale;
  T* data = logits.mutable_data_ptr<T>();
  ForRows(logits.size(0), width, [&](int64_t row) {
    T* x = data + row * width;
    float largest = ToFloat(x[0]);
#pragma omp simd reduction(max : largest)
    for (int64_t i = 1; i < width; ++i) largest = std::max(largest, ToFloat(x[i]));
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < width; ++i) sum += Exp((ToFloat(x[i]) - largest) * scale);
    const int64_t target = targets[row];
    const float target_logit = (ToFloat(x[target]) - largest) * scale;
    out.logprobs[row] = target_logit - std::log(sum);
    if (out.entropies != nullptr) {
      float weighted = 0;
#pragma omp simd reduction(+ : weighted)
      for (int64_t i = 0; i < width; ++i) {
        const float shifted = (ToFloat(x[i]) - largest) * scale;
        weighted += Exp(shifted) * shifted;
      }
      out.entropies[row] = std::log(sum) - weighted / sum;
    }
    if (!out.make_gradient) return;
    const float inverse = 1.0F / sum;
    const float probability = Exp(target_logit) * inverse;
    for (int64_t i = 0; i < width; ++i) x[i] = FromFloat<T>(Exp((ToFloat(x[i]) - largest) * scale) * inverse);
    x[target] = FromFloat<T>(probability - 1.0F);
  });
}

// Scores of rows of logits of either compute dtype.
void ScoreChunk(at::Tensor& logits, const int64_t* targets, const RowScores& out) {
  DispatchCompute(logits.scalar_type(), [&](auto t) { ScoreRows<decltype(t)>(logits, targets, out); });
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
    ScoreChunk(logits, targets.const_data_ptr<int64_t>() + begin,
               {.make_gradient = make_gradient, .logprobs = logprobs.mutable_data_ptr<float>() + begin});
    if (out.hidden != nullptr) out.hidden->narrow(0, begin, n).copy_(at::mm(logits, head));
    if (out.head != nullptr) out.head->add_(at::mm(logits.t(), hidden));
  }
  return logprobs;
}

// Gradient of ScoreTokens by the head: the logits are computed again. factors_R1 is what each row's softmax − onehot
// counts for.
at::Tensor HeadGradient(const at::Tensor& normed, const at::Tensor& head, const at::Tensor& targets,
                        const at::Tensor& factors_R1, float scale) {
  at::Tensor sum = at::zeros(head.sizes(), head.options().dtype(at::kFloat));
  at::Tensor unused = at::empty({kChunkRows}, head.options().dtype(at::kFloat));
  for (int64_t begin = 0; begin < normed.size(0); begin += kChunkRows) {
    const int64_t n = std::min(kChunkRows, normed.size(0) - begin);
    const at::Tensor hidden = normed.narrow(0, begin, n);
    at::Tensor logits = at::mm(hidden, head.t());
    ScoreChunk(logits, targets.const_data_ptr<int64_t>() + begin,
               {.scale = scale, .make_gradient = true, .logprobs = unused.mutable_data_ptr<float>()});
    const at::Tensor weighted = (hidden * factors_R1.narrow(0, begin, n)).to(hidden.scalar_type());
    sum.add_(at::mm(logits.t(), weighted));
  }
  return sum.to(head.scalar_type());
}

// What ScoreTokens computes of all rows; `slopes` are the rows' gradients of −log p by the hidden row over `scale`,
// undefined where they are not wanted.
struct AllScores {
  at::Tensor logprobs, entropies, slopes;
};

AllScores ScoreAll(const at::Tensor& normed, const at::Tensor& head, const at::Tensor& targets, float scale,
                   bool with_slopes) {
  const int64_t rows = normed.size(0);
  const at::Tensor logprobs = at::empty({rows}, normed.options().dtype(at::kFloat));
  AllScores all{logprobs, at::empty_like(logprobs), with_slopes ? at::empty_like(normed) : at::Tensor()};
  for (int64_t begin = 0; begin < rows; begin += kChunkRows) {
    const int64_t n = std::min(kChunkRows, rows - begin);
    at::Tensor logits = at::mm(normed.narrow(0, begin, n), head.t());
    ScoreChunk(logits, targets.const_data_ptr<int64_t>() + begin,
               {.scale = scale,
                .make_gradient = with_slopes,
                .logprobs = all.logprobs.mutable_data_ptr<float>() + begin,
                .entropies = all.entropies.mutable_data_ptr<float>() + begin});
    if (with_slopes) all.slopes.narrow(0, begin, n).copy_(at::mm(logits, head));
  }
  return all;
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

// Where SumCrossEntropy's gradients want one number for all rows, these want one for each, known in the backward pass
// alone. That of a hidden row is linear in it, so it is made in the forward pass for 1 and only scaled in the other.
TokenScores ScoreTokens(const at::Tensor& normed_RD, const at::Tensor& head_VD, const at::Tensor& targets_R,
                        double temperature) {
  const auto scale = static_cast<float>(1 / temperature);
  const bool wants_hidden = at::GradMode::is_enabled() && normed_RD.requires_grad();
  at::Tensor entropies_R;
  const auto forward = [&]() -> ForwardResult {
    AllScores all = ScoreAll(normed_RD, head_VD, targets_R, scale, wants_hidden);
    entropies_R = std::move(all.entropies);
    return {{all.logprobs}, {normed_RD, head_VD, targets_R, all.slopes}};
  };
  const auto backward = [scale, wants_head = head_VD.requires_grad()](const Tensors& saved,
                                                                      const Tensors& grads) -> Tensors {
    const at::Tensor factors_R1 = (grads[0] * -scale).unsqueeze(1);
    at::Tensor grad_hidden;
    at::Tensor grad_head;
    if (saved[3].defined()) grad_hidden = (saved[3] * factors_R1).to(saved[3].scalar_type());
    if (wants_head) grad_head = HeadGradient(saved[0], saved[1], saved[2], factors_R1, scale);
    return {grad_hidden, grad_head};
  };
  at::Tensor logprobs_R = Differentiable({normed_RD, head_VD}, forward, backward)[0];
  return {.logprobs_R = std::move(logprobs_R), .entropies_R = std::move(entropies_R)};
}

}  // namespace nla::ops
