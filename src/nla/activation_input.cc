#include "nla/activation_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/ascii.h"
#include "base/log.h"

namespace nla {
namespace {

constexpr int64_t kRowsAtOnce = 1024;
// Rounding of a normalised vector that was stored as bf16 stays below this.
constexpr double kEqualNorms = 1e-3;
// Fewer rows can have equal norms by chance.
constexpr int64_t kFewestRows = 4;
// Norms of a layer's activations lie well within this factor of each other's percentiles; those of layers far apart, or
// of another model, do not.
constexpr double kFarRecorded = 2;
constexpr double kFarScale = 4;

bool Near(double a, double b) { return std::abs(a - b) <= kEqualNorms * b; }

// "Qwen/Qwen2.5-7B-Instruct" and "models/qwen2.5-7b-instruct/" name one model.
std::string ModelKey(const std::string& name) {
  const size_t end = name.find_last_not_of('/');
  const std::string key = end == std::string::npos ? "" : name.substr(0, end + 1);
  return AsciiLowered(key.substr(key.rfind('/') + 1));
}

std::optional<double> NumberOf(const DatasetSidecar& sidecar, const char* key) {
  const std::string text = FindExtra(sidecar, key);
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(number > 0) || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::optional<NormSummary> RecordedNorms(const DatasetSidecar& sidecar) {
  const auto p5 = NumberOf(sidecar, "norm_p5");
  const auto p50 = NumberOf(sidecar, "norm_p50");
  const auto p75 = NumberOf(sidecar, "norm_p75");
  const auto p95 = NumberOf(sidecar, "norm_p95");
  if (!p5 || !p50 || !p75 || !p95) return std::nullopt;
  return NormSummary{.rows = sidecar.row_count, .min = 0, .p5 = *p5, .p50 = *p50, .p75 = *p75, .p95 = *p95, .max = 0};
}

// Where all norms are one number: which, in words.
std::optional<std::string> Normalised(const NormSummary& norms, int64_t d_model, const ModelSidecar& model) {
  if (norms.rows == 0 || !Near(norms.min, norms.max)) return std::nullopt;
  const auto scale = model.injection_scale.Resolve(d_model);
  std::string known;
  if (Near(norms.p50, 1)) known = "unit vectors";
  if (Near(norms.p50, std::sqrt(static_cast<double>(d_model)))) known = "the square root of the width";
  if (scale && Near(norms.p50, *scale)) known = "the verbalizer's injection_scale";
  if (known.empty() && norms.rows < kFewestRows) return std::nullopt;
  return fmt::format("norm {:.6g}{}", norms.p50, known.empty() ? "" : fmt::format(" ({})", known));
}

void AddLayerDoubts(const ActivationFacts& facts, const ActivationInput& input, const ModelSidecar& model,
                    const std::string& name, std::vector<Complaint>& doubts) {
  if (facts.layer && model.layer && *facts.layer != *model.layer) {
    doubts.push_back({.where = name,
                      .what = "activations of another layer than the model was trained on",
                      .found = fmt::format("K = {}", *facts.layer),
                      .wanted = fmt::format("K = {}", *model.layer)});
  }
  if (input.layer && facts.layer && *input.layer != *facts.layer) {
    doubts.push_back({.where = "--layer",
                      .what = fmt::format("is not what {} says of itself", name),
                      .found = std::to_string(*input.layer),
                      .wanted = std::to_string(*facts.layer)});
  }
}

void AddModelDoubts(const ActivationFacts& facts, const ActivationInput& input, const ModelSidecar& model,
                    const std::string& name, std::vector<Complaint>& doubts) {
  const bool both_hashes = !facts.base_weights_hash.empty() && !model.base_weights_hash.empty();
  const bool both_names = !facts.base_model.empty() && !model.base_checkpoint.empty();
  const bool same = both_hashes ? facts.base_weights_hash == model.base_weights_hash
                                : !both_names || ModelKey(facts.base_model) == ModelKey(model.base_checkpoint);
  if (!same) {
    doubts.push_back({.where = name,
                      .what = "activations of another base model",
                      .found = facts.base_model + (both_hashes ? " (by the hash of its weights)" : ""),
                      .wanted = model.base_checkpoint});
  }
  if (!input.base_model.empty() && ModelKey(input.base_model) != ModelKey(facts.base_model)) {
    doubts.push_back({.where = "--base-model",
                      .what = fmt::format("is not what the sidecar of {} says", name),
                      .found = input.base_model,
                      .wanted = facts.base_model});
  }
}

void AddNormDoubts(const ActivationFacts& facts, const ModelSidecar& model, const std::string& name,
                   std::vector<Complaint>& doubts) {
  const NormSummary& norms = facts.norms;
  if (facts.norm != "none") {
    doubts.push_back({.where = name + ": extraction.norm",
                      .what = "the sidecar says that the vectors were normalised",
                      .found = facts.norm,
                      .wanted = "none"});
  }
  if (const auto found = Normalised(norms, model.d_model, model)) {
    doubts.push_back({.where = name,
                      .what = "every vector has the same norm, so these are directions or normalised vectors",
                      .found = *found,
                      .wanted = "raw activations, whose norms differ"});
    return;
  }
  if (norms.rows == 0) return;
  const auto far = [&](double low, double high, const std::string& what) {
    if (norms.p50 >= low && norms.p50 <= high) return;
    doubts.push_back({.where = name,
                      .what = what,
                      .found = fmt::format("median norm {:.4g}", norms.p50),
                      .wanted = fmt::format("{:.4g} to {:.4g}", low, high)});
  };
  if (facts.recorded) {
    far(facts.recorded->p5 / kFarRecorded, facts.recorded->p95 * kFarRecorded,
        "the norms are far from those that its sidecar records: scaled vectors, or another file's sidecar");
    return;
  }
  // The injection scale is about the 75th percentile of the norms that the verbalizer was trained on.
  if (model.injection_scale.kind != Scale::Kind::kNumber) return;
  const double scale = model.injection_scale.number;
  far(scale / kFarScale, scale * kFarScale,
      fmt::format("the norms are far from the verbalizer's injection_scale ({:.4g}): another layer or model, or scaled "
                  "vectors",
                  scale));
}

}  // namespace

ActivationFacts Survey(ActivationReader& reader, const ActivationInput& input) {
  ActivationFacts facts;
  if (std::filesystem::exists(SidecarPath(input.path))) {
    facts.sidecar = ReadDatasetSidecar(input.path);
    facts.layer = facts.sidecar->layer_index;
    facts.base_model = facts.sidecar->base_model;
    facts.base_weights_hash = FindExtra(*facts.sidecar, "base_weights_hash");
    facts.norm = facts.sidecar->norm;
    facts.recorded = RecordedNorms(*facts.sidecar);
  } else {
    facts.layer = input.layer;
    facts.base_model = input.base_model;
  }
  NormStatistics norms;
  const int64_t rows = input.limit > 0 ? std::min(input.limit, reader.row_count()) : reader.row_count();
  for (int64_t done = 0; done < rows;) {
    const std::vector<ActivationRow> batch = reader.Next(std::min(kRowsAtOnce, rows - done));
    if (batch.empty()) break;
    if (!facts.layer && reader.has_layer()) facts.layer = batch.front().activation_layer;
    for (const ActivationRow& row : batch) norms.Add(row.activation);
    done += static_cast<int64_t>(batch.size());
  }
  reader.Seek(0);
  facts.norms = norms.Summary();
  return facts;
}

std::vector<Complaint> Doubts(const ActivationFacts& facts, const ActivationInput& input, const ModelSidecar& model) {
  const std::string name = input.path == "-" ? "standard input" : input.path.string();
  std::vector<Complaint> doubts;
  AddLayerDoubts(facts, input, model, name, doubts);
  AddModelDoubts(facts, input, model, name, doubts);
  AddNormDoubts(facts, model, name, doubts);
  return doubts;
}

CheckedActivations OpenActivations(const ActivationInput& input, const ModelSidecar& model) {
  ActivationReader reader = ActivationReader::Open(input.path, input.column);
  if (reader.row_count() > 0 && reader.d_model() != model.d_model) {
    Fail({.where = reader.name(),
          .what = "activations of another width than the model's",
          .found = std::to_string(reader.d_model()),
          .wanted = std::to_string(model.d_model)});
  }
  ActivationFacts facts = Survey(reader, input);
  std::vector<Complaint> doubts = Doubts(facts, input, model);
  if (!doubts.empty() && !input.force) {
    doubts.front().mend = "Give the right file, or pass --force if it is what you mean";
    Fail(doubts.front());
  }
  for (const Complaint& doubt : doubts) spdlog::warn("{}", Describe(doubt));
  if (!facts.layer && model.layer) {
    spdlog::warn("{}: nothing says which layer these are of; taken for K = {} (--layer K has it checked)",
                 reader.name(), *model.layer);
  }
  return {std::move(reader), std::move(facts)};
}

}  // namespace nla
