// Training checkpoints: `<run>/checkpoints/step-N/` with state.safetensors (masters and moments), state.json (counters,
// place in the data) and recipe.yaml. Each appears whole or not at all. The final model is output.h's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/lora.h"
#include "train/optimizer.h"

namespace nla {

// The next row of the dataset to read.
struct DataCursor {
  int64_t row = 0;
  int64_t epoch = 0;
  bool operator==(const DataCursor&) const = default;
};

struct RunState {
  OptimizerCounters counters;
  DataCursor cursor;
  int64_t rows = 0;  // trained on so far
  int64_t tokens = 0;
  double seconds = 0;  // training time so far, without evaluation and saving
  // Of a run with two optimisers, the verbalizer's and the reconstructor's: what each counted. counters.step is the
  // run's own then.
  std::vector<OptimizerCounters> sides = {};
  std::string began_with = {};  // hash of the weights that such a run began with: its reference policy
};

inline constexpr int kCheckpointsKept = 2;

// Writes the checkpoint of state.counters.step and removes all but the newest kCheckpointsKept.
void SaveCheckpoint(const std::filesystem::path& run, const RunState& state, std::span<const NamedTensor> tensors,
                    const std::string& recipe);

// The newest checkpoint whose files are sound; a damaged one is passed over with a warning. Also removes what a killed
// save left behind.
std::optional<std::filesystem::path> NewestCheckpoint(const std::filesystem::path& run);

// The same for all ranks of a run: rank 0 looks. Collective.
std::optional<std::filesystem::path> NewestCheckpoint(const std::filesystem::path& run, Communicator& ranks);

// All checkpoints of a run, newest first; touches nothing.
std::vector<std::filesystem::path> FindCheckpoints(const std::filesystem::path& run);
// Refuses one whose state is not what was saved (reads every byte).
void CheckCheckpoint(const std::filesystem::path& checkpoint);

// Overwrites the tensors in place; one that is not defined is passed over. Errors name the file and the tensor that is
// missing or of another shape.
RunState LoadCheckpoint(const std::filesystem::path& checkpoint, std::span<const NamedTensor> tensors);

}  // namespace nla
