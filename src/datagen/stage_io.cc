#include "datagen/stage_io.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/fail.h"
#include "base/hash.h"

namespace nla {
namespace {

constexpr const char* kRunKey = "run_key";

}  // namespace

StageInput OpenStageInput(const std::filesystem::path& path) {
  StageInput input{path, ReadDatasetSidecar(path), ActivationReader::Open(path)};
  CheckStageInput(path, input.sidecar, input.reader);
  return input;
}

void CheckStageInput(const std::filesystem::path& path, const DatasetSidecar& sidecar, const ActivationReader& reader) {
  const auto compare = [&](const char* field, int64_t stated, int64_t held) {
    if (stated == held) return;
    Fail({.where = SidecarPath(path).string() + ": " + field,
          .what = "the sidecar does not belong to its file",
          .found = std::to_string(stated),
          .wanted = std::to_string(held),
          .mend = "Make the dataset again"});
  };
  compare("row_count", sidecar.row_count, reader.row_count());
  compare("extraction.d_model", sidecar.d_model, reader.d_model());
  CheckNotEmpty(path, reader);
}

void CheckNotEmpty(const std::filesystem::path& path, const ActivationReader& reader) {
  if (reader.row_count() > 0) return;
  Fail({.where = path.string(), .what = "the dataset has no rows", .mend = "Check the stage that made it"});
}

std::string RunKey(const DatasetSidecar& input, const std::vector<std::string>& parts) {
  const std::string origin = FindExtra(input, kRunKey);
  // A foreign dataset has no run key: its time of making tells one making from the next.
  return Sha256Hex(fmt::format("{}\n{}\n{}\n{}", input.dataset_id, input.row_count,
                               origin.empty() ? input.created_at : origin, fmt::join(parts, "\n")));
}

bool IsUpToDate(const std::filesystem::path& output, const std::string& run_key, bool replace,
                const std::filesystem::path& input) {
  if (!std::filesystem::exists(output)) return false;
  if (std::filesystem::equivalent(output, input)) {
    FailUsage({.where = output.string(), .what = "the output is the input", .mend = "Name another output"});
  }
  if (replace) return false;
  if (std::filesystem::exists(SidecarPath(output)) && FindExtra(ReadDatasetSidecar(output), kRunKey) == run_key) {
    return true;
  }
  Fail({.where = output.string(),
        .what = "another file is there",
        .mend = "Name another output, or pass --replace to lose what is there"});
}

DatasetSidecar DeriveSidecar(const DatasetSidecar& input, const Derived& derived) {
  DatasetSidecar sidecar = input;
  sidecar.dataset_id = derived.dataset_id;
  sidecar.row_count = derived.row_count;
  sidecar.parent_datasets = {input.dataset_id};
  sidecar.created_at.clear();
  sidecar.created_by = derived.created_by;
  sidecar.git_commit.clear();
  SetExtra(sidecar, kRunKey, derived.run_key);
  return sidecar;
}

}  // namespace nla
