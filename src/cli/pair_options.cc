// Shared options of the commands that verbalize.
#include "cli/pair_options.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "net/hub.h"

namespace nla::cli {
namespace {

void AddBaseOption(Command command, PairArguments& arguments) {
  command.AddOption("--base", arguments.base, "base model's directory, where adapters are not beside it");
}

void RequireOne(const std::string& side, const std::string& pair, const char* option) {
  if (side.empty() != pair.empty()) return;
  FailUsage({.where = option, .what = fmt::format("needs either {} or --pair", option)});
}

}  // namespace

void AddDecodingOptions(Command command, VerbalizeOptions& options) {
  SamplingOptions& sampling = options.sampling;
  command.AddOption("--temperature", sampling.temperature, "0 is greedy").ShowDefault().NotNegative();
  command.AddOption("--top-p", sampling.top_p, "smallest set of tokens with this probability")
      .ShowDefault()
      .Between(0.0, 1.0);
  command.AddOption("--top-k", sampling.top_k, "the K most probable tokens; 0: all").ShowDefault().NotNegative();
  command.AddOption("--max-new-tokens", sampling.max_new_tokens, "longest reply").ShowDefault().Positive();
  command.AddOption("--slots", options.slots, "explanations in flight").ShowDefault().Positive();
}

void AddSamplesOption(Command command, VerbalizeOptions& options) {
  command.AddOption("--n", options.samples, "explanations of each activation").ShowDefault().Positive();
}

std::string PairArguments::Shown() const {
  if (!pair.empty()) return pair;
  return actor.empty() || critic.empty() ? actor + critic : actor + " and " + critic;
}

void AddPairOptions(Command command, PairArguments& arguments) {
  command.AddOption("--pair", arguments.pair, "pair directory");
  command.AddOption("--av", arguments.actor, "verbalizer directory; with --ar instead of --pair");
  command.AddOption("--ar", arguments.critic, "reconstructor directory; with --av instead of --pair");
  AddBaseOption(command, arguments);
}

void AddActorOptions(Command command, PairArguments& arguments) {
  command.AddOption("--av", arguments.actor, "verbalizer directory");
  command.AddOption("--pair", arguments.pair, "pair directory, instead of --av");
  AddBaseOption(command, arguments);
}

void AddCriticOptions(Command command, PairArguments& arguments) {
  command.AddOption("--ar", arguments.critic, "reconstructor directory");
  command.AddOption("--pair", arguments.pair, "pair directory, instead of --ar");
  AddBaseOption(command, arguments);
}

PairLocation Locate(const PairArguments& arguments) {
  const bool sides = !arguments.actor.empty() && !arguments.critic.empty();
  if (arguments.pair.empty() ? !sides : !arguments.actor.empty() || !arguments.critic.empty()) {
    FailUsage({.where = "pair", .what = "needs either --pair, or --av and --ar"});
  }
  const fs::path base = ResolveModel(arguments.base);
  if (sides) return JoinSides(ResolveModel(arguments.actor), ResolveModel(arguments.critic), base);
  return FindPair(ResolveModel(arguments.pair), base);
}

RoleSource LocateActor(const PairArguments& arguments, at::ScalarType compute) {
  RequireOne(arguments.actor, arguments.pair, "--av");
  const fs::path base = ResolveModel(arguments.base);
  if (arguments.actor.empty()) return FindPair(ResolveModel(arguments.pair), base).Actor(compute);
  return {ResolveModel(arguments.actor), base, compute};
}

RoleSource LocateCritic(const PairArguments& arguments, at::ScalarType compute) {
  RequireOne(arguments.critic, arguments.pair, "--ar");
  const fs::path base = ResolveModel(arguments.base);
  if (arguments.critic.empty()) return FindPair(ResolveModel(arguments.pair), base).Critic(compute);
  return {ResolveModel(arguments.critic), base, compute};
}

void AddActivationOptions(Command command, ActivationInput& input) {
  command.AddOption("--column", input.column,
                    "column, member, tensor or key of the vectors; default: activation_vector, or the only one");
  command.AddOption("--layer", input.layer, "K of the vectors, where no sidecar says it: checked against the model")
      .NotNegative();
  command.AddOption("--base-model", input.base_model, "the model they are of, where no sidecar says it");
  command.AddFlag("--force", input.force, "go on where layer, model or norms look wrong");
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

void PrintScoreHeader() {
  fmt::print("{:<34} {:>7}  {:<16} {:>9} {:>8} {:>8}\n", "", "FVE raw", "95% interval", "FVE mean", "cosine", "mse");
}

void PrintScores(const char* name, const FveSummary& s) {
  fmt::print("{:<34} {:>7.3f}  [{:>6.3f}, {:>6.3f}] {:>9.3f} {:>8.3f} {:>8.4f}\n", name, s.fve_raw_variance,
             s.fve_raw_variance_interval.low, s.fve_raw_variance_interval.high, s.fve_mean_norm, s.cosine_mean, s.mse);
}

}  // namespace nla::cli
