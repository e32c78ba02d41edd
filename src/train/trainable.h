// The tensors that training changes: what the model reads, its fp32 master, and the gradient summed over micro-batches.
// The update rule is adamw.h's.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <vector>

#include "model/lora.h"

namespace nla {

class Decoder;

// What training changes of a model: its adapters where it has them, else every weight.
std::vector<NamedTensor> TrainedWeights(Decoder& decoder);

struct Trainable {
  std::string name;
  at::Tensor live;    // the autograd leaf that the model reads, in the compute dtype
  at::Tensor master;  // fp32; the same storage when live is fp32
  // Undefined between steps. One backward pass leaves its own tensor here, bf16 or fp32; further ones are summed in
  // fp32.
  at::Tensor grad;
};

// Makes every tensor a leaf that wants a gradient. They must be contiguous, fp32 or bf16, and distinct: a tied head is
// listed once.
std::vector<Trainable> MakeTrainables(std::span<const NamedTensor> tensors);

// After each micro-batch's backward pass: moves or adds live's gradient to `grad` and clears it.
void CollectGradients(std::span<Trainable> trainables);

// Norm over all gradients together. The summation order depends on sizes alone, so it is equal for any thread count.
double GradientNorm(std::span<const Trainable> trainables);

void ClearGradients(std::span<Trainable> trainables);

// Fills live with the rounded master.
void CopyMasterToLive(const Trainable& trainable);

}  // namespace nla
