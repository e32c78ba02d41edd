// What commands on a pair or one of its sides share: where it is, and how it decodes.
#pragma once

#include <string>

#include "cli/command.h"
#include "nla/activation_input.h"
#include "nla/metrics.h"
#include "nla/pair.h"
#include "nla/verbalizer.h"

namespace nla::cli {

// --temperature, --top-p, --top-k, --max-new-tokens, --slots.
void AddDecodingOptions(Command command, VerbalizeOptions& options);
// --n.
void AddSamplesOption(Command command, VerbalizeOptions& options);

// Where a pair or one of its sides is.
struct PairArguments {
  std::string pair;           // --pair: a directory with pair.yaml
  std::string actor, critic;  // --av, --ar: directories of their own
  std::string base;           // --base: the base model of adapters, and what `explain` reads activations from
  std::string Shown() const;  // as the user named it
};

// --pair, or --av and --ar; and --base.
void AddPairOptions(Command command, PairArguments& arguments);
// --av or --pair; and --base. The same with --ar.
void AddActorOptions(Command command, PairArguments& arguments);
void AddCriticOptions(Command command, PairArguments& arguments);

// Finds what the options name; a usage error where they name nothing, or two things.
PairLocation Locate(const PairArguments& arguments);
RoleSource LocateActor(const PairArguments& arguments, at::ScalarType compute);
RoleSource LocateCritic(const PairArguments& arguments, at::ScalarType compute);

// --column, --layer, --base-model and --force of a command that reads activations; their file has an option of its own.
void AddActivationOptions(Command command, ActivationInput& input);

// {n, mse, cosine_mean, fve_raw_variance, fve_mean_norm, interval…}.
nlohmann::ordered_json ToJson(const FveSummary& summary);
// The same as a table for people: one head, then a line a summary.
void PrintScoreHeader();
void PrintScores(const char* name, const FveSummary& summary);

}  // namespace nla::cli
