// The verbalizer's side of the training loop.
#include "train/sft/av_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "model/tensor_io.h"
#include "train/batch_source.h"
#include "train/output.h"
#include "train/row_checks.h"
#include "train/sft/scale.h"

namespace nla {
namespace {

constexpr int64_t kRowsForScale = 10000;
constexpr double kScalePercentile = 0.75;

InjectionRule ParseRule(const std::string& text) {
  if (text == "replace") return InjectionRule::kReplace;
  if (text == "add") return InjectionRule::kAdd;
  FailUsage({.where = "injection_rule", .found = text, .wanted = "replace or add"});
}

AvTrainerOptions TrainerOptions(const AvSftOptions& options) {
  return {.injection = {.rule = ParseRule(options.injection_rule),
                        .scale = ParseScale(options.injection_scale, "injection_scale")},
          .micro_rows = options.train.micro_rows};
}

}  // namespace

FieldList Fields(AvSftOptions& options) {
  FieldList fields = Fields(options.train);
  fields.emplace_back("injection_scale", &options.injection_scale,
                      "norm of the injected vector; auto = 75th percentile of the dataset's norms");
  fields.emplace_back("injection_rule", &options.injection_rule, "replace, or add (norm-matched)");
  fields.emplace_back("max_response_tokens", &options.max_response_tokens, "longer responses are cut");
  return fields;
}

void CheckOptions(const AvSftOptions& options) {
  CheckOptions(options.train);
  if (options.injection_scale != "auto") ParseScale(options.injection_scale, "injection_scale");
  ParseRule(options.injection_rule);
  if (options.max_response_tokens < 1) {
    FailUsage({.where = "max_response_tokens",
               .found = fmt::format("{}", options.max_response_tokens),
               .wanted = "1 or more"});
  }
}

double ScaleFromNorms(const std::filesystem::path& dataset) {
  std::vector<double> norms;
  ForEachRow(dataset, [&](const ActivationRow& row) {
    double squares = 0;
    for (const float x : row.activation) squares += static_cast<double>(x) * x;
    norms.push_back(std::sqrt(squares));
    return static_cast<int64_t>(norms.size()) < kRowsForScale;
  });
  if (norms.empty()) Fail({.where = dataset.string(), .what = "has no rows"});
  const auto rank = static_cast<size_t>(kScalePercentile * static_cast<double>(norms.size() - 1));
  std::nth_element(norms.begin(), norms.begin() + static_cast<int64_t>(rank), norms.end());
  return std::stod(fmt::format("{:.3g}", norms[rank]));
}

AvEncoder::AvEncoder(const Text& text, const TokenFacts& tokens, int64_t max_response_tokens)
    : text_(text), tokens_(tokens), max_response_tokens_(max_response_tokens) {
  const std::optional<TokenId> id = text.tokenizer.Find(text.chat.end_of_turn());
  if (!id) {
    Fail({.where = "tokenizer.json",
          .what = fmt::format("the chat format's end of turn \"{}\" is not a token", text.chat.end_of_turn())});
  }
  end_of_turn_ = *id;
}

AvExample AvEncoder::Encode(const ActivationRow& row) {
  if (prompt_.site < 0 || row.prompt_messages != messages_) {
    prompt_ = BuildActorPrompt(text_.tokenizer, text_.chat, row.prompt_messages, tokens_);
    messages_ = row.prompt_messages;
  }
  AvExample example{.prompt = prompt_.ids,
                    .site = prompt_.site,
                    .response = text_.tokenizer.Encode(row.response, {.add_special = false, .parse_special = false}),
                    .activation = row.activation};
  example.response.push_back(end_of_turn_);
  if (static_cast<int64_t>(example.response.size()) > max_response_tokens_) {
    example.response.resize(static_cast<size_t>(max_response_tokens_));
  }
  return example;
}

AvTask::AvTask(RoleModel& model, const AvSftOptions& options, int64_t total_steps)
    : model_(model),
      options_(options),
      chat_(ChatFormat::Load(model.weights, {.date = FindExtra(model.dataset, kChatDateFact)})),
      encoder_({model.tokenizer, chat_}, *model.dataset.tokens, options.max_response_tokens),
      trainer_(model.decoder, TrainerOptions(options), options.train.optimizer, total_steps) {}

std::vector<AvExample> AvTask::Encode(std::span<const ActivationRow> rows) {
  std::vector<AvExample> examples;
  for (const ActivationRow& row : rows) {
    CheckRow(row, model_.dataset);
    if (row.response.empty()) Fail({.where = NameOf(row, model_.dataset), .what = "the response is empty"});
    examples.push_back(encoder_.Encode(row));
  }
  return examples;
}

TrainStep AvTask::Step(std::span<const ActivationRow> rows) { return trainer_.Step(Encode(rows)); }

nlohmann::ordered_json AvTask::Evaluate(std::span<const ActivationRow> heldout) {
  std::vector<AvExample> examples = Encode(heldout);
  const double true_vector = trainer_.Evaluate(examples);
  // Row i with the vector of row i + 1.
  for (size_t i = 0; i + 1 < examples.size(); ++i) std::swap(examples[i].activation, examples[i + 1].activation);
  const double other_vector = trainer_.Evaluate(examples);
  return {{"n", static_cast<int64_t>(examples.size())},
          {"cross_entropy", true_vector},
          {"cross_entropy_other_vector", other_vector},
          {"gap", other_vector - true_vector}};
}

std::string AvTask::Headline(const nlohmann::ordered_json& evaluation) const {
  return fmt::format("cross-entropy {:.4f}, with another row's vector {:.4f}",
                     evaluation.at("cross_entropy").get<double>(),
                     evaluation.at("cross_entropy_other_vector").get<double>());
}

void AvTask::WriteModel(const std::filesystem::path& directory, const nlohmann::ordered_json& evaluation) const {
  AvSftOptions options = options_;
  ModelSidecar sidecar = SidecarOf(model_, Fields(options), evaluation);
  sidecar.injection_scale = ParseScale(options_.injection_scale, "injection_scale");
  sidecar.injection_rule = ParseRule(options_.injection_rule);
  WriteTrainedModel(directory, TrainedOf(model_, trainer_.optimizer(), ChooseDType(options_.train.store_dtype)),
                    sidecar);
}

}  // namespace nla
