// What the training loop needs of a role: a step on rows, an evaluation, the final model. The verbalizer's is
// av_task.h, the reconstructor's ar_task.h.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "data/activation_row.h"
#include "train/batch_loss.h"
#include "train/optimizer.h"

namespace nla {

class SftTask {
 public:
  virtual ~SftTask() = default;
  virtual TrainStep Step(std::span<const ActivationRow> rows) = 0;
  // Scores of held-out rows as fields of a metrics line.
  virtual nlohmann::ordered_json Evaluate(std::span<const ActivationRow> heldout) = 0;
  // One short figure of an evaluation, for the log.
  virtual std::string Headline(const nlohmann::ordered_json& evaluation) const = 0;
  // Fills an empty directory with the trained checkpoint (formats.md section 2). `evaluation` is the last one, or null.
  virtual void WriteModel(const std::filesystem::path& directory, const nlohmann::ordered_json& evaluation) const = 0;
  virtual Optimizer& optimizer() = 0;
};

}  // namespace nla
