// Shared options of the commands that verbalize.
#include "cli/pair_options.h"

namespace nla::cli {

void AddDecodingOptions(CLI::App* command, VerbalizeOptions& options) {
  SamplingOptions& sampling = options.sampling;
  command->add_option("--temperature", sampling.temperature, "0 is greedy")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--top-p", sampling.top_p, "smallest set of tokens with this probability")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--top-k", sampling.top_k, "the K most probable tokens; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--max-new-tokens", sampling.max_new_tokens, "longest reply")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--slots", options.slots, "explanations in flight")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
}

void AddSamplesOption(CLI::App* command, VerbalizeOptions& options) {
  command->add_option("--n", options.samples, "explanations of each activation")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
}

void AddBaseOption(CLI::App* command, std::string& base) {
  command->add_option("--base", base, "base model's directory, where adapters are not beside it");
}

void AddActivationOptions(CLI::App* command, ActivationInput& input) {
  command->add_option("--column", input.column,
                      "column, member, tensor or key of the vectors; default: activation_vector, or the only one");
  command->add_option("--layer", input.layer, "K of the vectors, where no sidecar says it: checked against the model")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--base-model", input.base_model, "the model they are of, where no sidecar says it");
  command->add_flag("--force", input.force, "go on where layer, model or norms look wrong");
}

nlohmann::ordered_json ToJson(const FveSummary& summary) {
  const auto interval = [](const Interval& i) { return nlohmann::ordered_json::array({i.low, i.high}); };
  return {{"n", summary.n},
          {"mse", summary.mse},
          {"cosine_mean", summary.cosine_mean},
          {"fve_raw_variance", summary.fve_raw_variance},
          {"fve_mean_norm", summary.fve_mean_norm},
          {"interval",
           {{"fve_raw_variance", interval(summary.fve_raw_variance_interval)},
            {"fve_mean_norm", interval(summary.fve_mean_norm_interval)}}}};
}

}  // namespace nla::cli
