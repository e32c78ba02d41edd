// One optimiser step over all trained tensors: global norm, clipping, refusal of non-finite gradients, AdamW.
// Gradients come from the trainers; saving is checkpoint.h's. Of several processes each keeps the moments of some
// tensors and updates those for all.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/fields.h"
#include "train/collectives/communicator.h"
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
  // `total_steps` is the schedule's length. All of `ranks` have the same tensors with the same values.
  Optimizer(std::span<const NamedTensor> tensors, const OptimizerOptions& options, int64_t total_steps,
            std::shared_ptr<Communicator> ranks = JoinedProcesses());

  std::vector<Trainable>& trainables() { return trainables_; }
  const std::vector<Trainable>& trainables() const { return trainables_; }
  // To be called after every backward pass.
  void CollectGradients() { nla::CollectGradients(trainables_); }
  // Uses up the gradients: they are gone afterwards, also when the step was skipped. Among several ranks the gradient
  // is the mean of all ranks', weighted by how many rows or tokens (0: none) each rank's own is the mean of.
  StepOutcome Step(double weight = 1);

  const OptimizerCounters& counters() const { return counters_; }
  void set_counters(const OptimizerCounters& counters) { counters_ = counters; }
  // Masters and moments under "master.", "momentum." and "variance." + name; they share storage with the optimiser.
  // What another rank keeps is not defined.
  std::vector<NamedTensor> State() const;
  // The same with what other ranks keep, for rank 0 to write; nothing for the others. Collective.
  std::vector<NamedTensor> WholeState() const;
  // Call after State()'s tensors were overwritten: the model then reads the new masters.
  void StateChanged();

 private:
  bool Mine(size_t i) const { return owners_[i] == ranks_->rank(); }
  std::vector<bool> ShareGradients(double weight);
  void ShareMasters(const std::vector<bool>& updated);

  OptimizerOptions options_;
  int64_t total_steps_;
  OptimizerCounters counters_;
  std::vector<Trainable> trainables_;
  std::shared_ptr<Communicator> ranks_;
  std::vector<int> owners_;                      // the rank that updates each of trainables_
  std::vector<at::Tensor> momenta_, variances_;  // fp32, in the order of trainables_; undefined where another rank's
};

}  // namespace nla
