// Verbalizer training on dataset rows: recipe fields, rows to ids, evaluation with true and foreign vectors, sidecar.
#pragma once

#include <string>
#include <vector>

#include "nla/prompt.h"
#include "text/chat.h"
#include "train/options.h"
#include "train/sft/av_trainer.h"
#include "train/sft/role_model.h"
#include "train/sft/task.h"

namespace nla {

struct AvSftOptions {
  TrainOptions train;
  std::string injection_scale =
      "auto";  // a number, sqrt_d_model, none; auto = 75th percentile of the norms in the dataset
  std::string injection_rule = "replace";  // replace | add
  int64_t max_response_tokens = 256;       // longer responses are cut
};

FieldList Fields(AvSftOptions& options);
void CheckOptions(const AvSftOptions& options);

// The 75th percentile of the norms of the file's first rows, to three digits: the scale of a model without one.
double ScaleFromNorms(const std::filesystem::path& dataset);

// Rows of av_sft files as ids. Borrows; keeps the last prompt, since nearly all rows share one.
class AvEncoder {
 public:
  struct Text {
    const Tokenizer& tokenizer;
    const ChatFormat& chat;
  };
  AvEncoder(const Text& text, const TokenFacts& tokens, int64_t max_response_tokens);
  // Errors name the row by its document and position.
  AvExample Encode(const ActivationRow& row);

 private:
  Text text_;
  TokenFacts tokens_;
  int64_t max_response_tokens_;
  TokenId end_of_turn_ = -1;
  std::vector<ChatMessage> messages_;
  ActorPrompt prompt_;
};

class AvTask : public SftTask {
 public:
  // Borrows the model. `options` have resolved injection_scale.
  AvTask(RoleModel& model, const AvSftOptions& options, int64_t total_steps);

  TrainStep Step(std::span<const ActivationRow> rows) override;
  nlohmann::ordered_json Evaluate(std::span<const ActivationRow> heldout) override;
  std::string Headline(const nlohmann::ordered_json& evaluation) const override;
  void WriteModel(const std::filesystem::path& directory, const nlohmann::ordered_json& evaluation) const override;
  Optimizer& optimizer() override { return trainer_.optimizer(); }

 private:
  std::vector<AvExample> Encode(std::span<const ActivationRow> rows);

  RoleModel& model_;
  AvSftOptions options_;
  ChatFormat chat_;
  AvEncoder encoder_;
  AvTrainer trainer_;
};

}  // namespace nla
