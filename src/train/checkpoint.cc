// Saving, finding and loading training checkpoints.
#include "train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "model/tensor_io.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

constexpr int kFormat = 1;
constexpr const char* kFolder = "checkpoints";
constexpr std::string_view kPrefix = "step-";

// The step of a checkpoint directory's name; nullopt for other names.
std::optional<int64_t> StepOf(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || stop != end) return std::nullopt;
  return step;
}

// FindCheckpoints of the run. Everything else in its folder is a save that was cut off, and is removed.
std::vector<fs::path> ListCheckpoints(const fs::path& run) {
  const fs::path folder = run / kFolder;
  if (!fs::exists(folder)) return {};
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!StepOf(entry.path())) fs::remove_all(entry.path());
  }
  return FindCheckpoints(run);
}

nlohmann::json ReadStateJson(const fs::path& checkpoint) {
  const fs::path path = checkpoint / "state.json";
  nlohmann::json state = nlohmann::json::parse(ReadFile(path), nullptr, false);
  if (!state.is_object()) Fail({.where = path.string(), .what = "not valid JSON"});
  if (state.value("format", 0) != kFormat) {
    Fail({.where = path.string() + ": format",
          .found = state.value("format", nlohmann::json()).dump(),
          .wanted = fmt::format("{}", kFormat)});
  }
  return state;
}

template <typename T>
T Get(const nlohmann::json& state, const char* field, const fs::path& checkpoint) {
  const auto found = state.find(field);
  const std::string where = fmt::format("{}: {}", (checkpoint / "state.json").string(), field);
  if (found == state.end()) Fail({.where = where, .what = "missing"});
  const bool fits = std::is_same_v<T, std::string> ? found->is_string() : found->is_number();
  if (!fits) Fail({.where = where, .what = "wrong type", .found = found->dump()});
  return found->get<T>();
}

OptimizerCounters ReadCounters(const nlohmann::json& json, const fs::path& checkpoint) {
  return {.step = Get<int64_t>(json, "step", checkpoint),
          .updates = Get<int64_t>(json, "updates", checkpoint),
          .skipped = Get<int64_t>(json, "skipped", checkpoint)};
}

RunState ReadState(const nlohmann::json& json, const fs::path& checkpoint) {
  RunState state{
      .counters = ReadCounters(json, checkpoint),
      .cursor = {.row = Get<int64_t>(json, "row", checkpoint), .epoch = Get<int64_t>(json, "epoch", checkpoint)},
      .rows = Get<int64_t>(json, "rows", checkpoint),
      .tokens = Get<int64_t>(json, "tokens", checkpoint),
      .seconds = Get<double>(json, "seconds", checkpoint)};
  if (json.contains("sides")) {
    for (const nlohmann::json& side : json["sides"]) state.sides.push_back(ReadCounters(side, checkpoint));
  }
  if (json.contains("began_with")) state.began_with = Get<std::string>(json, "began_with", checkpoint);
  return state;
}

}  // namespace

std::vector<fs::path> FindCheckpoints(const fs::path& run) {
  std::vector<fs::path> found;
  if (!fs::exists(run / kFolder)) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(run / kFolder)) {
    if (StepOf(entry.path())) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end(), [](const fs::path& a, const fs::path& b) { return *StepOf(a) > *StepOf(b); });
  return found;
}

void CheckCheckpoint(const fs::path& checkpoint) {
  const auto wanted = Get<std::string>(ReadStateJson(checkpoint), "state_sha256", checkpoint);
  const fs::path weights = checkpoint / "state.safetensors";
  const std::string found = Sha256HexOfFile(weights);
  if (found != wanted) Fail({.where = weights.string(), .what = "damaged: sha256", .found = found, .wanted = wanted});
}

void SaveCheckpoint(const fs::path& run, const RunState& state, std::span<const NamedTensor> tensors,
                    const std::string& recipe) {
  const fs::path folder = run / kFolder;
  fs::create_directories(folder);
  AtomicDirectory directory(folder / fmt::format("{}{}", kPrefix, state.counters.step), true);
  const fs::path weights = directory.temporary_path() / "state.safetensors";
  WriteTensors(weights, {tensors.begin(), tensors.end()}, at::kFloat);
  nlohmann::ordered_json json = {{"format", kFormat},
                                 {"step", state.counters.step},
                                 {"updates", state.counters.updates},
                                 {"skipped", state.counters.skipped},
                                 {"row", state.cursor.row},
                                 {"epoch", state.cursor.epoch},
                                 {"rows", state.rows},
                                 {"tokens", state.tokens},
                                 {"seconds", state.seconds},
                                 {"state_sha256", Sha256HexOfFile(weights)}};
  for (const OptimizerCounters& side : state.sides) {
    json["sides"].push_back({{"step", side.step}, {"updates", side.updates}, {"skipped", side.skipped}});
  }
  if (!state.began_with.empty()) json["began_with"] = state.began_with;
  WriteFileAtomically(directory.temporary_path() / "state.json", json.dump(2) + "\n");
  WriteFileAtomically(directory.temporary_path() / "recipe.yaml", recipe);
  directory.Commit();
  const std::vector<fs::path> all = ListCheckpoints(run);
  for (size_t i = kCheckpointsKept; i < all.size(); ++i) fs::remove_all(all[i]);
}

std::optional<fs::path> NewestCheckpoint(const fs::path& run) {
  for (const fs::path& checkpoint : ListCheckpoints(run)) {
    try {
      CheckCheckpoint(checkpoint);
      return checkpoint;
    } catch (const Error& error) {
      spdlog::warn("checkpoint passed over: {}", error.what());
    }
  }
  return std::nullopt;
}

std::optional<fs::path> NewestCheckpoint(const fs::path& run, Communicator& ranks) {
  double step = -1;
  if (ranks.writes()) {
    const std::optional<fs::path> newest = NewestCheckpoint(run);
    if (newest) step = static_cast<double>(*StepOf(*newest));
  }
  step = ranks.Agree(step);
  if (step < 0) return std::nullopt;
  return run / kFolder / fmt::format("{}{}", kPrefix, static_cast<int64_t>(step));
}

RunState LoadCheckpoint(const fs::path& checkpoint, std::span<const NamedTensor> tensors) {
  const nlohmann::json json = ReadStateJson(checkpoint);
  const SafetensorsFile file = SafetensorsFile::Open(checkpoint / "state.safetensors");
  const std::string where = file.path().string();
  if (file.tensors().size() != tensors.size()) {
    Fail({.where = where,
          .what = "is of another model or adapter rank",
          .found = fmt::format("{} tensors", file.tensors().size()),
          .wanted = fmt::format("{}", tensors.size())});
  }
  // All are checked before the first is overwritten.
  std::vector<const TensorView*> views;
  for (const NamedTensor& named : tensors) {
    const TensorView* view = file.Find(named.name);
    if (view == nullptr) Fail({.where = where, .what = fmt::format("tensor {} is missing", named.name)});
    views.push_back(view);
    if (!named.tensor.defined()) continue;  // another rank's
    if (view->dtype != DType::kF32 || view->shape != named.tensor.sizes().vec()) {
      Fail({.where = where,
            .what = fmt::format("tensor {}", named.name),
            .found = fmt::format("{} [{}]", Name(view->dtype), fmt::join(view->shape, ", ")),
            .wanted = fmt::format("F32 [{}]", fmt::join(named.tensor.sizes(), ", "))});
    }
  }
  for (size_t i = 0; i < views.size(); ++i) {
    if (!tensors[i].tensor.defined()) continue;
    std::memcpy(tensors[i].tensor.mutable_data_ptr<float>(), views[i]->bytes.data(), views[i]->bytes.size());
  }
  return ReadState(json, checkpoint);
}

}  // namespace nla
