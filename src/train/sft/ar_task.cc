// The reconstructor's side of the training loop.
#include "train/sft/ar_task.h"

#include <fmt/format.h>

#include "model/tensor_io.h"
#include "nla/metrics.h"
#include "nla/prompt.h"
#include "train/output.h"
#include "train/row_checks.h"
#include "train/sft/scale.h"

namespace nla {
FieldList Fields(ArSftOptions& options) {
  FieldList fields = Fields(options.train);
  fields.emplace_back("mse_scale", &options.mse_scale,
                      "norm of both vectors in the loss: sqrt_d_model, a number, or none");
  return fields;
}

void CheckOptions(const ArSftOptions& options) {
  CheckOptions(options.train);
  ParseScale(options.mse_scale, "mse_scale");
}

ArTask::ArTask(RoleModel& model, const ArSftOptions& options, int64_t total_steps)
    : model_(model),
      options_(options),
      trainer_({model.decoder, model.value_head},
               {.mse_scale = ParseScale(options.mse_scale, "mse_scale"), .micro_rows = options.train.micro_rows},
               options.train.optimizer, total_steps) {}

std::vector<ArExample> ArTask::Encode(std::span<const ActivationRow> rows) const {
  std::vector<ArExample> examples;
  for (const ActivationRow& row : rows) {
    CheckRow(row, model_.dataset);
    examples.push_back(
        {.prompt = CriticPromptIds(model_.tokenizer, row.prompt_text, model_.dataset.tokens->critic_suffix_ids),
         .activation = row.activation});
  }
  return examples;
}

TrainStep ArTask::Step(std::span<const ActivationRow> rows) { return trainer_.Step(Encode(rows)); }

nlohmann::ordered_json ArTask::Evaluate(std::span<const ActivationRow> heldout) {
  const std::vector<ArExample> examples = Encode(heldout);
  const at::Tensor predicted_BD = trainer_.Predict(examples);
  std::vector<float> gold;
  for (const ArExample& example : examples)
    gold.insert(gold.end(), example.activation.begin(), example.activation.end());
  const std::span<const float> predicted(predicted_BD.const_data_ptr<float>(), gold.size());
  const FveSummary summary = Summarize(predicted, gold, model_.dataset.d_model);
  return {{"n", summary.n},
          {"mse", summary.mse},
          {"cosine_mean", summary.cosine_mean},
          {"fve_raw_variance", summary.fve_raw_variance},
          {"fve_mean_norm", summary.fve_mean_norm}};
}

std::string ArTask::Headline(const nlohmann::ordered_json& evaluation) const {
  return fmt::format("FVE {:.3f} (raw variance), {:.3f} (mean norm)", evaluation.at("fve_raw_variance").get<double>(),
                     evaluation.at("fve_mean_norm").get<double>());
}

void ArTask::WriteModel(const std::filesystem::path& directory, const nlohmann::ordered_json& evaluation) const {
  ArSftOptions options = options_;
  ModelSidecar sidecar = SidecarOf(model_, Fields(options), evaluation);
  sidecar.mse_scale = ParseScale(options_.mse_scale, "mse_scale");
  WriteTrainedModel(directory, TrainedOf(model_, trainer_.optimizer(), ChooseDType(options_.train.store_dtype)),
                    sidecar);
}

}  // namespace nla
