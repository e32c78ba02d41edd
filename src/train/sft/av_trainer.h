// Supervised training of the verbalizer: an activation in the prompt, cross-entropy on the response. Works on ids; rows
// become ids in av_examples.h.
#pragma once

#include <span>
#include <vector>

#include "model/decoder.h"
#include "nla/injection.h"
#include "train/batch_loss.h"
#include "train/optimizer.h"

namespace nla {

struct AvExample {
  std::vector<TokenId> prompt;
  int64_t site = 0;               // index in prompt of the row that the activation overwrites
  std::vector<TokenId> response;  // not empty; ends with the end-of-turn token unless it was cut
  std::vector<float> activation;  // RAW, [D]
};

struct AvTrainerOptions {
  InjectionOptions injection;
  int64_t micro_rows = 2048;  // most packed rows of one forward and backward pass
};

// Trains the decoder's adapters where it has them, else all its weights. Borrows the decoder; not thread-safe.
class AvTrainer {
 public:
  AvTrainer(Decoder& decoder, const AvTrainerOptions& options, const OptimizerOptions& optimizer, int64_t total_steps);

  // Sum of cross-entropy over all response tokens of the batch / their number; gradients are left in optimizer().
  BatchLoss Accumulate(std::span<const AvExample> examples);
  TrainStep Step(std::span<const AvExample> examples);
  // The same loss without gradients.
  double Evaluate(std::span<const AvExample> examples) const;

  Optimizer& optimizer() { return optimizer_; }
  const Optimizer& optimizer() const { return optimizer_; }

 private:
  // Sum over response tokens of a micro-batch's examples, fp32 scalar.
  at::Tensor SumLoss(std::span<const AvExample> examples, std::span<const size_t> chosen, int64_t prefix) const;

  Decoder& decoder_;
  AvTrainerOptions options_;
  Optimizer optimizer_;
};

}  // namespace nla
