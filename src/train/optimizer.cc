// The optimiser step.
#include "train/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "base/log.h"
#include "train/adamw.h"

namespace nla {
FieldList Fields(OptimizerOptions& options) {
  return {{"lr", &options.lr, "peak learning rate"},
          {"schedule", &options.schedule.shape, "learning rate after the warm-up: constant, cosine or linear"},
          {"warmup_steps", &options.schedule.warmup_steps, "steps of linear warm-up"},
          {"lr_floor", &options.schedule.floor, "fraction of lr that a decaying schedule ends at"},
          {"weight_decay", &options.weight_decay, "decoupled weight decay"},
          {"beta1", &options.beta1, "AdamW's decay of the first moment"},
          {"beta2", &options.beta2, "AdamW's decay of the second moment"},
          {"eps", &options.eps, "AdamW's epsilon"},
          {"clip", &options.clip, "largest global gradient norm; 0 = no clipping"}};
}

void CheckOptions(const OptimizerOptions& options) {
  CheckSchedule(options.schedule);
  CheckField("lr", options.lr >= 0, options.lr, "0 or more");
  CheckField("weight_decay", options.weight_decay >= 0, options.weight_decay, "0 or more");
  CheckField("beta1", options.beta1 >= 0 && options.beta1 < 1, options.beta1, "a number in [0, 1)");
  CheckField("beta2", options.beta2 >= 0 && options.beta2 < 1, options.beta2, "a number in [0, 1)");
  CheckField("eps", options.eps > 0, options.eps, "a number above 0");
  CheckField("clip", options.clip >= 0, options.clip, "0 or more");
}

Optimizer::Optimizer(std::span<const NamedTensor> tensors, const OptimizerOptions& options, int64_t total_steps)
    : options_(options), total_steps_(total_steps), trainables_(MakeTrainables(tensors)) {
  CheckOptions(options);
  for (const Trainable& trainable : trainables_) {
    momenta_.push_back(at::zeros_like(trainable.master));
    variances_.push_back(at::zeros_like(trainable.master));
  }
}

StepOutcome Optimizer::Step() {
  const at::NoGradGuard no_grad;
  StepOutcome outcome;
  outcome.lr = options_.lr * ScheduleFactor(options_.schedule, counters_.step, total_steps_);
  outcome.grad_norm = GradientNorm(trainables_);
  ++counters_.step;
  if (!std::isfinite(outcome.grad_norm)) {
    outcome.skipped = true;
    ++counters_.skipped;
    ClearGradients(trainables_);
    spdlog::warn("step {}: the gradient is not finite; step skipped ({} so far)", counters_.step, counters_.skipped);
    return outcome;
  }
  ++counters_.updates;
  AdamWStep step{.lr = outcome.lr,
                 .weight_decay = options_.weight_decay,
                 .beta1 = options_.beta1,
                 .beta2 = options_.beta2,
                 .eps = options_.eps,
                 .gradient_scale = 1,
                 .step = counters_.updates};
  // torch.nn.utils.clip_grad_norm_'s formula.
  if (options_.clip > 0) step.gradient_scale = std::min(1.0, options_.clip / (outcome.grad_norm + 1e-6));
  for (size_t i = 0; i < trainables_.size(); ++i) {
    Trainable& trainable = trainables_[i];
    if (!trainable.grad.defined()) continue;
    const bool grad_is_bf16 = trainable.grad.scalar_type() == at::kBFloat16;
    const bool has_live = trainable.live.scalar_type() == at::kBFloat16;
    UpdateAdamW(step, {.master = trainable.master.mutable_data_ptr<float>(),
                       .momentum = momenta_[i].mutable_data_ptr<float>(),
                       .variance = variances_[i].mutable_data_ptr<float>(),
                       .grad = grad_is_bf16 ? nullptr : trainable.grad.const_data_ptr<float>(),
                       .grad_bf16 = grad_is_bf16 ? trainable.grad.const_data_ptr<c10::BFloat16>() : nullptr,
                       .live = has_live ? trainable.live.mutable_data_ptr<c10::BFloat16>() : nullptr,
                       .size = trainable.master.numel()});
  }
  ClearGradients(trainables_);
  return outcome;
}

std::vector<NamedTensor> Optimizer::State() const {
  std::vector<NamedTensor> state;
  for (size_t i = 0; i < trainables_.size(); ++i) {
    state.push_back({"master." + trainables_[i].name, trainables_[i].master});
    state.push_back({"momentum." + trainables_[i].name, momenta_[i]});
    state.push_back({"variance." + trainables_[i].name, variances_[i]});
  }
  return state;
}

void Optimizer::StateChanged() {
  for (const Trainable& trainable : trainables_) CopyMasterToLive(trainable);
}

}  // namespace nla
