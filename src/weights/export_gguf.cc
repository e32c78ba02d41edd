// Finds the tensors of a checkpoint and writes them under GGUF's names. Metadata is gguf_metadata.cc's and
// gguf_tokenizer_export.cc's.
#include "weights/export_gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/fail.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "weights/checkpoint.h"
#include "weights/gguf_family.h"
#include "weights/gguf_metadata.h"
#include "weights/gguf_tokenizer_export.h"
#include "weights/gguf_writer.h"
#include "weights/stored_values.h"

namespace nla {
namespace {

constexpr int64_t kQ8Block = 32;

// A tensor on its way: where it comes from, what it becomes.
struct Planned {
  const TensorView* source = nullptr;  // into the checkpoint; null for rope factors
  GgmlType type = GgmlType::kF32;
  int64_t paired_heads = 0;
  bool one_added = false;
};

// general.file_type: llama.cpp's number for what most tensors are.
uint32_t FileType(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return 0;
    case GgmlType::kF16:
      return 1;
    case GgmlType::kQ8_0:
      return 7;
    case GgmlType::kBF16:
      return 32;
    default:
      NLA_CHECK(false);
  }
}

// Gemma 3 with a vision tower puts its text model deeper; which of the spellings a checkpoint has.
std::string TextPrefix(const Checkpoint& checkpoint) {
  for (const char* prefix : {"", "language_model.", "model.language_model."}) {
    const std::string inner = prefix == std::string("model.language_model.") ? "" : "model.";
    if (checkpoint.Find(prefix + inner + "embed_tokens.weight") != nullptr) return prefix;
  }
  Fail({.where = checkpoint.directory().string(), .what = "tensor is missing", .found = "model.embed_tokens.weight"});
}

std::string NameIn(const std::string& prefix, const std::string& name) {
  const bool deep = prefix == "model.language_model.";  // "model." and "language_model." in the other order
  if (deep && name.starts_with("model.")) return prefix + name.substr(6);
  return deep ? name : prefix + name;
}

// What a checkpoint may hold beside the text model.
bool IsBallast(const std::string& name, bool tied_head) {
  constexpr std::array<std::string_view, 4> kOthers = {"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                                                       "model.multi_modal_projector."};
  if (name.ends_with("rotary_emb.inv_freq")) return true;
  if (tied_head && name.ends_with("lm_head.weight")) return true;
  return std::ranges::any_of(kOthers, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

GgmlType StoredType(const TensorPair& pair, GgmlType wanted) {
  if (pair.shape.size() == 1) return GgmlType::kF32;
  if (wanted == GgmlType::kQ8_0 && pair.shape.back() % kQ8Block != 0) return GgmlType::kF16;
  return wanted;
}

const TensorView& FindTensor(const Checkpoint& checkpoint, const std::string& name, const std::vector<int64_t>& shape) {
  const std::string directory = checkpoint.directory().string();
  const TensorView* view = checkpoint.Find(name);
  if (view == nullptr) {
    Fail({.where = directory,
          .what = "tensor is missing",
          .found = name,
          .mend = "Only whole language models can be converted; a reconstructor has no head"});
  }
  const std::string where = fmt::format("{}: tensor {}", directory, name);
  if (view->shape != shape) {
    const auto text = [](const std::vector<int64_t>& extents) { return nlohmann::json(extents).dump(); };
    Fail({.where = where, .what = "shape", .found = text(view->shape), .wanted = text(shape)});
  }
  if (view->dtype == DType::kF32 || view->dtype == DType::kF16 || view->dtype == DType::kBF16) return *view;
  Fail({.where = where, .what = "element type", .found = std::string(Name(view->dtype)), .wanted = "F32, F16 or BF16"});
}

struct Plan {
  std::vector<GgufTensorSpec> specs;
  std::vector<Planned> tensors;  // as many
};

Plan PlanTensors(const Checkpoint& checkpoint, const GgufModel& model, GgmlType type) {
  Plan plan;
  std::set<std::string> used;
  const std::string prefix = TextPrefix(checkpoint);
  const std::vector<std::string> names = checkpoint.names();
  if (static_cast<size_t>(model.sizes.blocks) > names.size()) {
    Fail({.where = (checkpoint.directory() / "config.json").string() + ": num_hidden_layers",
          .what = "more blocks than tensors",
          .found = std::to_string(model.sizes.blocks)});
  }
  if (!model.rope_factors.empty()) {
    plan.specs.push_back(
        {std::string(kRopeFactors), GgmlType::kF32, {static_cast<int64_t>(model.rope_factors.size())}});
    plan.tensors.push_back({});
  }
  for (const TensorPair& pair : TensorPairs(*model.family, model.sizes, model.tied_head)) {
    const std::string name = NameIn(prefix, pair.checkpoint);
    const TensorView& view = FindTensor(checkpoint, name, pair.shape);
    used.insert(name);
    plan.specs.push_back({pair.gguf, StoredType(pair, type), pair.shape});
    plan.tensors.push_back(
        {&view, plan.specs.back().type, PairedHeads(pair.twist, model.sizes), pair.twist == Twist::kOneAdded});
  }
  for (const std::string& name : names) {
    if (used.contains(name) || IsBallast(name, model.tied_head)) continue;
    Fail({.where = checkpoint.directory().string(),
          .what = "a tensor that this family does not have",
          .found = name,
          .mend = "Merge adapters first; other variants cannot be converted"});
  }
  return plan;
}

// The row of the checkpoint that row `row` of the file holds: pairs (0, half), (1, half + 1), … out of two halves.
int64_t SourceRow(int64_t rows, int64_t paired_heads, int64_t row) {
  if (paired_heads == 0) return row;
  const int64_t width = rows / paired_heads;
  const int64_t within = row % width;
  return row - within + within % 2 * (width / 2) + within / 2;
}

void WriteTensor(const Planned& planned, const std::string& where, GgufWriter& writer) {
  const TensorView& source = *planned.source;
  std::vector<float> values(static_cast<size_t>(source.shape.back()));
  const int64_t rows = source.numel() / source.shape.back();
  std::vector<std::byte> chunk;
  for (int64_t row = 0; row < rows; ++row) {
    LoadRow(source, SourceRow(rows, planned.paired_heads, row), values);
    if (planned.one_added) {
      for (float& value : values) value += 1.0f;
    }
    AppendGguf(values, planned.type, where, chunk);
    if (chunk.size() < kWriteBytes && row + 1 < rows) continue;
    writer.Append(chunk);
    chunk.clear();
  }
}

std::vector<GgufPair> Metadata(const fs::path& directory, const GgufModel& model, GgmlType type) {
  fs::path name = fs::absolute(directory).lexically_normal();
  if (!name.has_filename()) name = name.parent_path();
  std::vector<GgufPair> metadata = {
      {"general.architecture", std::string(model.family->architecture)},
      {"general.type", "model"},
      {"general.name", name.filename().string()},
      {"general.file_type", FileType(type)},
      {"general.quantization_version", uint32_t{2}},
  };
  metadata.insert(metadata.end(), model.metadata.begin(), model.metadata.end());
  for (GgufPair& pair : TokenizerMetadata(directory, model)) metadata.push_back(std::move(pair));
  return metadata;
}

void WriteTensors(const Checkpoint& checkpoint, const Plan& plan, const GgufModel& model, GgufWriter& writer) {
  Progress progress("convert", "tensors", static_cast<int64_t>(plan.tensors.size()));
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    ThrowIfInterrupted();
    if (const TensorView* source = plan.tensors[i].source) {
      WriteTensor(plan.tensors[i], fmt::format("{}: tensor {}", checkpoint.directory().string(), source->name), writer);
    } else {
      writer.Append(std::as_bytes(std::span(model.rope_factors)));
    }
    writer.EndTensor();
    progress.Update(static_cast<int64_t>(i + 1));
  }
}

}  // namespace

GgufExportFacts ExportGguf(const fs::path& directory, const fs::path& out, const GgufExportOptions& options) {
  if (fs::exists(out) && !options.replace) {
    Fail({.where = out.string(), .what = "already exists", .mend = "Choose another name, or pass --replace"});
  }
  const Checkpoint checkpoint = Checkpoint::Open(directory);
  const GgufModel model = DescribeModel(checkpoint.config(), (directory / "config.json").string());
  const Plan plan = PlanTensors(checkpoint, model, options.type);
  GgufWriter writer(out, Metadata(directory, model, options.type), plan.specs);
  WriteTensors(checkpoint, plan, model, writer);
  writer.Commit();
  GgufExportFacts facts{.architecture = std::string(model.family->architecture),
                        .tensors = static_cast<int64_t>(plan.tensors.size()),
                        .bytes = fs::file_size(out)};
  for (const Planned& planned : plan.tensors) {
    if (planned.source != nullptr) facts.parameters += planned.source->numel();
  }
  return facts;
}

}  // namespace nla
