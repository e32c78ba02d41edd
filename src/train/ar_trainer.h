// Training of the reconstructor by regression: a prompt that holds an explanation in, the activation's direction out.
// Works on ids; rows become ids in sft/ar_task.h, rollouts in grpo/scoring.h.
#pragma once

#include <span>
#include <vector>

#include "model/decoder.h"
#include "nla/sidecar.h"
#include "train/batch_loss.h"
#include "train/optimizer.h"

namespace nla {

struct ArExample {
  std::vector<TokenId> prompt;    // read at its last token
  std::vector<float> activation;  // RAW, [D], not zero
};

struct ArTrainerOptions {
  Scale mse_scale;            // norm that both vectors have in the loss
  int64_t micro_rows = 2048;  // most packed rows of one forward and backward pass
};

// Trains the value head, and the decoder's adapters where it has them, else all its weights. The decoder is cut to
// blocks 0..K and has no head. Borrows the decoder; the value head [D, D] fp32 is shared with the caller. Not
// thread-safe.
class ArTrainer {
 public:
  struct Model {
    Decoder& decoder;
    at::Tensor value_head;
  };
  ArTrainer(const Model& model, const ArTrainerOptions& options, const OptimizerOptions& optimizer, int64_t total_steps,
            std::shared_ptr<Communicator> ranks = JoinedProcesses());

  // Mean over rows of the mean over D of (p − g)², p and g at norm mse_scale; gradients are left in optimizer().
  BatchLoss Accumulate(std::span<const ArExample> examples) { return Score(examples).batch; }
  struct Scored {
    BatchLoss batch;
    at::Tensor predicted_BD;  // raw predictions in the order of the examples, without gradients
  };
  // The same, with the predictions that the loss was taken of.
  Scored Score(std::span<const ArExample> examples);
  TrainStep Step(std::span<const ArExample> examples);
  // Raw predictions [n, D] in the order of the examples, without gradients.
  at::Tensor Predict(std::span<const ArExample> examples) const;

  Optimizer& optimizer() { return optimizer_; }
  const Optimizer& optimizer() const { return optimizer_; }

 private:
  at::Tensor PredictRows(std::span<const ArExample> examples, std::span<const size_t> chosen) const;

  Model model_;
  ArTrainerOptions options_;
  Optimizer optimizer_;
};

}  // namespace nla
