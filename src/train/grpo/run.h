// `nla train rl` as one call: the run directory, steps, evaluations, checkpoints, stop rules, the trained pair.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "train/grpo/options.h"
#include "train/options.h"

namespace nla {

struct RlResult {
  int64_t steps = 0;
  int64_t rows = 0;     // activations trained on
  int64_t replies = 0;  // to them
  int64_t skipped_steps = 0;
  double seconds = 0;                 // of training
  double last_reward = 0;             // mean of the last step taken in this call
  std::string stopped_by;             // "steps", "time", or the stop rule with what it saw
  nlohmann::ordered_json evaluation;  // the last one; null without held-out rows
  int64_t best_step = -1;             // of best/; -1 without held-out rows
  double best_fve = 0;                // fve_raw_variance of best/
  std::filesystem::path pair;         // the pair as the run left it
};

// Continues from the newest sound checkpoint when the mode says so and there is one. Ctrl-C saves a checkpoint and then
// fails with a message that says how to go on.
RlResult TrainRl(RlOptions options, StartMode mode);

}  // namespace nla
