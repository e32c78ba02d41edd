// One optimiser step over all trained tensors: global norm, clipping, refusal of non-finite gradients, AdamW.
// Gradients come from the trainers; saving is checkpoint.h's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/fields.h"
#include "train/schedule.h"
#include "train/trainable.h"

namespace nla {

struct OptimizerOptions {
  double lr = 1e-4;
  ScheduleOptions schedule;
  double weight_decay = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double clip = 1.0;  // largest global gradient norm; 0 = no clipping
};

// Fields lr, schedule, warmup_steps, lr_floor, weight_decay, beta1, beta2, eps, clip.
FieldList Fields(OptimizerOptions& options);
void CheckOptions(const OptimizerOptions& options);  // usage errors name the field

struct StepOutcome {
  double lr = 0;
  double grad_norm = 0;  // before clipping
  bool skipped = false;  // the norm was not finite: nothing changed
};

// What must be kept to continue exactly, besides the tensors.
struct OptimizerCounters {
  int64_t step = 0;     // steps taken, skipped ones included: drives the schedule
  int64_t updates = 0;  // steps that changed the weights: drives the moments' bias correction
  int64_t skipped = 0;
};

class Optimizer {
 public:
  // `total_steps` is the schedule's length.
  Optimizer(std::span<const NamedTensor> tensors, const OptimizerOptions& options, int64_t total_steps);

  std::vector<Trainable>& trainables() { return trainables_; }
  const std::vector<Trainable>& trainables() const { return trainables_; }
  // To be called after every backward pass.
  void CollectGradients() { nla::CollectGradients(trainables_); }
  // Uses up the gradients: they are gone afterwards, also when the step was skipped.
  StepOutcome Step();

  const OptimizerCounters& counters() const { return counters_; }
  void set_counters(const OptimizerCounters& counters) { counters_ = counters; }
  // Masters and moments under "master.", "momentum." and "variance." + name; they share storage with the optimiser.
  std::vector<NamedTensor> State() const;
  // Call after State()'s tensors were overwritten: the model then reads the new masters.
  void StateChanged();

 private:
  OptimizerOptions options_;
  int64_t total_steps_;
  OptimizerCounters counters_;
  std::vector<Trainable> trainables_;
  std::vector<at::Tensor> momenta_, variances_;  // fp32, in the order of trainables_
};

}  // namespace nla
