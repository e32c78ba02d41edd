// The training loop that both roles share: batches, metrics, evaluations, checkpoints, resuming, stopping, the final
// save. What a step is belongs to the tasks.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "train/batch_source.h"
#include "train/collectives/communicator.h"
#include "train/options.h"
#include "train/run_directory.h"
#include "train/sft/task.h"

namespace nla {

struct LoopResult {
  int64_t steps = 0;
  int64_t rows = 0;
  int64_t skipped_steps = 0;
  double seconds = 0;                 // of training
  double last_loss = 0;               // of the last step taken in this call
  std::string stopped_by;             // "steps" or "time"
  nlohmann::ordered_json evaluation;  // the last one; null without held-out rows
  std::filesystem::path model;        // where the final checkpoint lies
};

struct LoopInput {
  SftTask& task;
  BatchSource& source;
  std::span<const ActivationRow> heldout;  // may be empty
  const TrainOptions& options;
  std::string recipe;  // the dump that is stored beside the output
  int64_t total_steps = 0;
  Communicator& ranks;
};

// Continues from the newest sound checkpoint when there is one. Ctrl-C saves a checkpoint and then fails with a message
// that says how to go on.
LoopResult RunLoop(const LoopInput& input);

// Steps of a run by its options.
int64_t TotalSteps(const TrainOptions& options, int64_t rows_per_epoch);

}  // namespace nla
