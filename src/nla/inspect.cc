// Inspection: each kind is opened by the code that would use it, and its complaint becomes a problem.
#include "nla/inspect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

#include "base/fail.h"
#include "data/activation_table.h"
#include "nla/pair.h"
#include "nla/reconstructor.h"
#include "nla/verbalizer.h"
#include "weights/gguf.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

void AddFact(Inspection& out, const std::string& name, const std::string& value) {
  out.facts.emplace_back(name, value);
}

// Runs a check; what it complains of is a problem.
void Try(Inspection& out, const std::function<void()>& check) {
  try {
    check();
  } catch (const std::exception& error) {
    if (std::find(out.problems.begin(), out.problems.end(), error.what()) == out.problems.end()) {
      out.problems.emplace_back(error.what());
    }
  }
}

void AddTensorFacts(Inspection& out, const std::vector<TensorView>& tensors) {
  std::map<std::string, int64_t> by_dtype;
  int64_t parameters = 0;
  for (const TensorView& tensor : tensors) {
    ++by_dtype[std::string(Name(tensor.dtype))];
    parameters += tensor.numel();
  }
  AddFact(out, "tensors", std::to_string(tensors.size()));
  AddFact(out, "parameters", std::to_string(parameters));
  for (const auto& [dtype, count] : by_dtype) AddFact(out, "tensors of " + dtype, std::to_string(count));
}

void InspectSafetensors(const fs::path& path, Inspection& out) {
  out.kind = "safetensors";
  Try(out, [&] { AddTensorFacts(out, SafetensorsFile::Open(path).tensors()); });
}

void InspectGguf(const fs::path& path, Inspection& out) {
  out.kind = "gguf";
  Try(out, [&] {
    const GgufFile file = GgufFile::Open(path);
    AddFact(out, "architecture", file.metadata().value("general.architecture", std::string("?")));
    AddFact(out, "name", file.metadata().value("general.name", std::string("?")));
    AddFact(out, "tensors", std::to_string(file.tensors().size()));
  });
}

void InspectCheckpoint(const fs::path& path, Inspection& out) {
  out.kind = "checkpoint";
  Try(out, [&] {
    const Checkpoint checkpoint = Checkpoint::Open(path);
    const ModelSpec spec = ParseModelSpec(checkpoint.config(), (path / "config.json").string());
    AddFact(out, "model_type", spec.model_type);
    AddFact(out, "blocks", std::to_string(spec.n_blocks));
    AddFact(out, "d_model", std::to_string(spec.d_model));
    AddFact(out, "vocabulary", std::to_string(spec.vocab_size));
    AddFact(out, "weights_hash", checkpoint.WeightsHash());
    Decoder::Load(checkpoint, {.compute = at::kBFloat16});
  });
  Try(out, [&] { AddFact(out, "tokenizer_hash", Tokenizer::Load(path).hash()); });
  Try(out, [&] { ChatFormat::Load(path); });
}

void AddSidecarFacts(const ModelSidecar& sidecar, Inspection& out) {
  AddFact(out, "stage", sidecar.stage);
  AddFact(out, "base_checkpoint", sidecar.base_checkpoint);
  AddFact(out, "d_model", std::to_string(sidecar.d_model));
  if (sidecar.layer) AddFact(out, "layer", std::to_string(*sidecar.layer));
  if (sidecar.tokens) {
    AddFact(
        out, "marker",
        fmt::format("{} (id {}, between {} and {})", sidecar.tokens->injection_char, sidecar.tokens->injection_token_id,
                    sidecar.tokens->injection_left_neighbor_id, sidecar.tokens->injection_right_neighbor_id));
  }
  AddFact(out, "created_by", sidecar.created_by);
}

// Without the base model only the files themselves can be checked.
void InspectAdapterFiles(const fs::path& path, Role role, Inspection& out) {
  AddFact(out, "checked", "the sidecar and the adapter files alone; give --base DIR to check all");
  ReadLoraSpec(path);
  if (role == Role::kCritic) SafetensorsFile::Open(path / "value_head.safetensors");
}

// Of every byte, also where loading leaves it out.
void CheckWeightsHash(const fs::path& path, const ModelSidecar& sidecar, Inspection& out) {
  const std::string hash = TrainedWeightsHash(path);
  AddFact(out, "weights_hash", hash);
  if (sidecar.weights_hash.empty() || sidecar.weights_hash == hash) return;
  Fail({.where = (path / "nla_meta.yaml").string() + ": nla_cpp.weights_hash",
        .what = "is not the weights'",
        .found = sidecar.weights_hash,
        .wanted = hash,
        .mend = "A file is damaged or of another run: copy the whole directory again"});
}

void InspectRole(const RoleSource& source, Inspection& out) {
  const fs::path& path = source.directory;
  out.kind = "verbalizer or reconstructor";
  Try(out, [&] {
    const ModelSidecar sidecar = ReadModelSidecar(path);
    out.kind = sidecar.role == Role::kActor ? "verbalizer" : "reconstructor";
    AddSidecarFacts(sidecar, out);
    AddFact(out, "weights", HasAdapters(path) ? "adapters" : "whole");
    if (HasAdapters(path) && source.base.empty()) {
      InspectAdapterFiles(path, sidecar.role, out);
    } else if (sidecar.role == Role::kActor) {
      Verbalizer::Load(source);
    } else {
      Reconstructor::Load(source);
    }
    CheckWeightsHash(path, sidecar, out);
  });
}

void InspectPair(const fs::path& path, const fs::path& base, Inspection& out) {
  out.kind = "pair";
  Try(out, [&] {
    const PairLocation pair = FindPair(path, base);
    AddFact(out, "base_model", pair.manifest.base_name);
    AddFact(out, "base_directory", pair.base.string());
    AddFact(out, "layer", std::to_string(pair.manifest.layer));
    for (const RoleSource& source : {pair.Actor(at::kBFloat16), pair.Critic(at::kBFloat16)}) {
      Inspection side;
      InspectRole(source, side);
      const std::string role = source.directory.filename().string();
      for (const auto& [name, value] : side.facts) AddFact(out, fmt::format("{}.{}", role, name), value);
      out.problems.insert(out.problems.end(), side.problems.begin(), side.problems.end());
    }
  });
}

void CompareWithSidecar(const fs::path& path, const char* field, int64_t found, int64_t wanted) {
  if (found == wanted) return;
  Fail({.where = fmt::format("{}: {}", SidecarPath(path).string(), field),
        .what = "does not agree with the file",
        .found = std::to_string(found),
        .wanted = std::to_string(wanted),
        .mend = "File and sidecar are of different runs: make the dataset again"});
}

void InspectDataset(const fs::path& path, Inspection& out) {
  out.kind = "dataset";
  std::optional<std::pair<int64_t, int64_t>> rows_and_width;
  Try(out, [&] {
    ActivationReader reader = ActivationReader::Open(path);
    AddFact(out, "rows", std::to_string(reader.row_count()));
    AddFact(out, "d_model", std::to_string(reader.d_model()));
    rows_and_width = {reader.row_count(), reader.d_model()};
    while (!reader.Next(4096).empty()) {  // every row is checked for NaN and Inf
    }
  });
  Try(out, [&] {
    const DatasetSidecar sidecar = ReadDatasetSidecar(path);
    AddFact(out, "dataset_id", sidecar.dataset_id);
    AddFact(out, "stage", sidecar.stage);
    AddFact(out, "base_model", sidecar.base_model);
    AddFact(out, "layer", std::to_string(sidecar.layer_index));
    if (!rows_and_width) return;
    CompareWithSidecar(path, "row_count", sidecar.row_count, rows_and_width->first);
    if (rows_and_width->first > 0) {
      CompareWithSidecar(path, "extraction.d_model", sidecar.d_model, rows_and_width->second);
    }
  });
}

}  // namespace

Inspection Inspect(const fs::path& path, const fs::path& base) {
  if (!fs::exists(path)) Fail({.where = path.string(), .what = "there is no such file or folder"});
  Inspection out;
  const std::string ending = path.extension().string();
  if (ending == ".safetensors") {
    InspectSafetensors(path, out);
  } else if (ending == ".gguf") {
    InspectGguf(path, out);
  } else if (ending == ".parquet") {
    InspectDataset(path, out);
  } else if (fs::exists(path / "pair.yaml")) {
    InspectPair(path, base, out);
  } else if (fs::exists(path / "nla_meta.yaml")) {
    InspectRole({path, base, at::kBFloat16}, out);
  } else if (fs::exists(path / "config.json")) {
    InspectCheckpoint(path, out);
  } else {
    out.kind = "unknown";
    out.problems.push_back(
        path.string() +
        ": not a .safetensors, .gguf or .parquet file, nor a folder with pair.yaml, nla_meta.yaml or "
        "config.json");
  }
  return out;
}

}  // namespace nla
