// Reconstructor training on dataset rows: recipe fields, rows to ids, evaluation with both FVE baselines, sidecar.
#pragma once

#include <string>
#include <vector>

#include "train/ar_trainer.h"
#include "train/options.h"
#include "train/sft/role_model.h"
#include "train/sft/task.h"

namespace nla {

struct ArSftOptions {
  TrainOptions train;
  std::string mse_scale = "sqrt_d_model";  // norm of both vectors in the loss: sqrt_d_model, a number, or none
};

FieldList Fields(ArSftOptions& options);
void CheckOptions(const ArSftOptions& options);

class ArTask : public SftTask {
 public:
  // Borrows the model.
  ArTask(RoleModel& model, const ArSftOptions& options, int64_t total_steps);

  TrainStep Step(std::span<const ActivationRow> rows) override;
  nlohmann::ordered_json Evaluate(std::span<const ActivationRow> heldout) override;
  std::string Headline(const nlohmann::ordered_json& evaluation) const override;
  void WriteModel(const std::filesystem::path& directory, const nlohmann::ordered_json& evaluation) const override;
  Optimizer& optimizer() override { return trainer_.optimizer(); }

 private:
  std::vector<ArExample> Encode(std::span<const ActivationRow> rows) const;

  RoleModel& model_;
  ArSftOptions options_;
  ArTrainer trainer_;
};

}  // namespace nla
