// The optimiser step.
#include "train/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
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

namespace {

// Every tensor goes to the rank that has the fewest elements so far.
std::vector<int> Owners(std::span<const Trainable> trainables, int ranks) {
  std::vector<int64_t> elements(static_cast<size_t>(ranks));
  std::vector<int> owners;
  for (const Trainable& trainable : trainables) {
    const auto least = std::min_element(elements.begin(), elements.end());
    *least += trainable.master.numel();
    owners.push_back(static_cast<int>(least - elements.begin()));
  }
  return owners;
}

}  // namespace

Optimizer::Optimizer(std::span<const NamedTensor> tensors, const OptimizerOptions& options, int64_t total_steps,
                     std::shared_ptr<Communicator> ranks)
    : options_(options),
      total_steps_(total_steps),
      trainables_(MakeTrainables(tensors)),
      ranks_(std::move(ranks)),
      owners_(Owners(trainables_, ranks_->size())) {
  CheckOptions(options);
  for (size_t i = 0; i < trainables_.size(); ++i) {
    const at::Tensor& master = trainables_[i].master;
    momenta_.push_back(Mine(i) ? at::zeros_like(master) : at::Tensor());
    variances_.push_back(Mine(i) ? at::zeros_like(master) : at::Tensor());
  }
}

// Sums every gradient to its owner and leaves it there alone; says which there are on any rank.
std::vector<bool> Optimizer::ShareGradients(double weight) {
  std::vector<double> facts = {weight};
  for (const Trainable& trainable : trainables_) facts.push_back(trainable.grad.defined() ? 1 : 0);
  ranks_->Sum(facts);
  std::vector<bool> present;
  for (size_t i = 0; i < trainables_.size(); ++i) {
    present.push_back(facts[i + 1] > 0);
    if (!present[i] || ranks_->size() == 1) continue;
    Trainable& trainable = trainables_[i];
    at::Tensor grad = trainable.grad.defined() ? trainable.grad.to(at::kFloat) : at::zeros_like(trainable.master);
    grad.mul_(weight / facts[0]);
    ranks_->Reduce(grad, owners_[i]);
    trainable.grad = Mine(i) ? std::move(grad) : at::Tensor();
  }
  ranks_->Finish();
  return present;
}

void Optimizer::ShareMasters(const std::vector<bool>& updated) {
  if (ranks_->size() == 1) return;
  for (size_t i = 0; i < trainables_.size(); ++i) {
    if (!updated[i]) continue;
    ranks_->Broadcast(trainables_[i].master, owners_[i]);
    if (!Mine(i)) CopyMasterToLive(trainables_[i]);
  }
  ranks_->Finish();
}

StepOutcome Optimizer::Step(double weight) {
  const at::NoGradGuard no_grad;
  StepOutcome outcome;
  outcome.lr = options_.lr * ScheduleFactor(options_.schedule, counters_.step, total_steps_);
  const std::vector<bool> present = ShareGradients(weight);
  outcome.grad_norm = GradientNorm(trainables_);
  if (ranks_->size() > 1) {
    double squares = outcome.grad_norm * outcome.grad_norm;  // of what is mine
    ranks_->Sum({&squares, 1});
    outcome.grad_norm = std::sqrt(squares);
  }
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
  ShareMasters(present);
  return outcome;
}

std::vector<NamedTensor> Optimizer::WholeState() const {
  std::vector<NamedTensor> state = State();
  if (ranks_->size() == 1) return state;
  for (size_t i = 0; i < trainables_.size(); ++i) {
    for (NamedTensor* moment : {&state[3 * i + 1], &state[3 * i + 2]}) {
      at::Tensor whole = Mine(i) ? moment->tensor : at::empty_like(trainables_[i].master);
      ranks_->Broadcast(whole, owners_[i]);
      if (ranks_->writes()) moment->tensor = std::move(whole);
    }
  }
  ranks_->Finish();
  return ranks_->writes() ? state : std::vector<NamedTensor>();
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
