// What commands on a pair or one of its sides share: where it is, and how it decodes.
#pragma once

#include <string>

#include "cli/command.h"
#include "nla/activation_input.h"
#include "nla/metrics.h"
#include "nla/verbalizer.h"

namespace nla::cli {

// --temperature, --top-p, --top-k, --max-new-tokens, --slots.
void AddDecodingOptions(CLI::App* command, VerbalizeOptions& options);
// --n.
void AddSamplesOption(CLI::App* command, VerbalizeOptions& options);

// --base: the base model of adapters.
void AddBaseOption(CLI::App* command, std::string& base);

// --column, --layer, --base-model and --force of a command that reads activations; their file has an option of its own.
void AddActivationOptions(CLI::App* command, ActivationInput& input);

// {n, mse, cosine_mean, fve_raw_variance, fve_mean_norm, interval…}.
nlohmann::ordered_json ToJson(const FveSummary& summary);

}  // namespace nla::cli
