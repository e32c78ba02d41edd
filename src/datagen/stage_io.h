// What every data stage does at its two ends: open a dataset with its sidecar and check that they belong together; see
// whether the output is there already; and carry facts from sidecar to sidecar.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/activation_table.h"
#include "data/dataset_sidecar.h"

namespace nla {

struct StageInput {
  std::filesystem::path path;
  DatasetSidecar sidecar;
  ActivationReader reader;
};

constexpr int64_t kStageRows = 1024;  // read at a time

// Refuses a sidecar whose width or number of rows is not the file's, and a file without rows.
StageInput OpenStageInput(const std::filesystem::path& path);
// The same checks of a dataset that is open.
void CheckStageInput(const std::filesystem::path& path, const DatasetSidecar& sidecar, const ActivationReader& reader);
void CheckNotEmpty(const std::filesystem::path& path, const ActivationReader& reader);

// Stands for everything that a stage's result depends on; kept in the output's sidecar. `parts` are the stage's name
// and the options that change the result.
std::string RunKey(const DatasetSidecar& input, const std::vector<std::string>& parts);

// True when `output` is there and is the result of this very run, so that nothing has to be done. Refuses when another
// file would be lost, unless `replace`, which always makes the output again. Refuses to write over an `input`.
bool IsUpToDate(const std::filesystem::path& output, const std::string& run_key, bool replace,
                const std::filesystem::path& input);

// A sidecar for what a stage makes of `input`: the same facts, its own name, run key and origin.
struct Derived {
  std::string dataset_id;
  int64_t row_count = 0;
  std::string created_by;
  std::string run_key;
};
DatasetSidecar DeriveSidecar(const DatasetSidecar& input, const Derived& derived);

}  // namespace nla
