// What a trainer reports of one batch.
#pragma once

#include <cstdint>

#include "train/optimizer.h"

namespace nla {

struct BatchLoss {
  double loss = 0;  // mean over the batch, whatever the micro-batches
  // How many rows, or response tokens, the loss and its gradient are the mean of.
  double weight = 0;
  int64_t rows = 0;
  int64_t tokens = 0;  // of the rows' sequences, a shared beginning counted for each
};

struct TrainStep {
  BatchLoss batch;
  StepOutcome outcome;
};

}  // namespace nla
