// Writes the directory that gguf_config and gguf_tokenizer plan.
#include "weights/convert.h"

#include <fmt/format.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "weights/checkpoint.h"
#include "weights/gguf.h"
#include "weights/gguf_config.h"
#include "weights/gguf_tokenizer.h"
#include "weights/safetensors.h"
#include "weights/stored_values.h"

namespace nla {
namespace {

void WriteJson(const fs::path& path, const nlohmann::ordered_json& document) {
  WriteFileAtomically(path, document.dump(2) + "\n");
}

// The row of the file that holds row `row` of the checkpoint. Where the checkpoint has each head's rows as two halves,
// Llama-type GGUF files have them as pairs: (0, half), (1, half + 1), …
int64_t SourceRow(const PlannedTensor& planned, int64_t row) {
  if (planned.paired_heads == 0) return row;
  const int64_t width = RowCount(*planned.source) / planned.paired_heads;
  const int64_t half = width / 2;
  const int64_t within = row % width;
  return row - within + 2 * (within % half) + within / half;
}

void WriteTensor(const PlannedTensor& planned, DType dtype, const std::string& where, SafetensorsWriter& writer) {
  std::vector<float> row_values(static_cast<size_t>(RowWidth(*planned.source)));
  std::vector<std::byte> chunk;
  const int64_t rows = RowCount(*planned.source);
  for (int64_t row = 0; row < rows; ++row) {
    DequantizeRow(*planned.source, SourceRow(planned, row), row_values);
    if (planned.one_added) {
      for (float& value : row_values) value -= 1.0f;
    }
    AppendStored(row_values, dtype, where, chunk);
    if (chunk.size() < kWriteBytes && row + 1 < rows) continue;
    writer.Append(chunk);
    chunk.clear();
  }
}

uint64_t StoredBytes(const PlannedTensor& planned, DType dtype) {
  return static_cast<uint64_t>(RowCount(*planned.source) * RowWidth(*planned.source)) * SizeOf(dtype);
}

// Runs of tensors, in order, that stay under the limit together; a tensor above it is alone.
std::vector<std::span<const PlannedTensor>> Shards(std::span<const PlannedTensor> tensors, DType dtype,
                                                   uint64_t limit) {
  std::vector<std::span<const PlannedTensor>> shards;
  size_t begin = 0;
  uint64_t bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const uint64_t more = StoredBytes(tensors[i], dtype);
    if (i > begin && (more > limit || bytes > limit - more)) {
      shards.push_back(tensors.subspan(begin, i - begin));
      begin = i;
      bytes = 0;
    }
    bytes += more;
  }
  shards.push_back(tensors.subspan(begin));
  return shards;
}

void WriteShard(const fs::path& path, std::span<const PlannedTensor> tensors, const GgufFile& file, DType dtype,
                const std::function<void()>& on_tensor) {
  std::vector<TensorSpec> specs;
  for (const PlannedTensor& planned : tensors) specs.push_back({planned.name, dtype, planned.source->shape});
  SafetensorsWriter writer(path, specs, {{"format", "pt"}});
  for (const PlannedTensor& planned : tensors) {
    ThrowIfInterrupted();
    WriteTensor(planned, dtype, fmt::format("{}: tensor {}", file.path().string(), planned.source->name), writer);
    on_tensor();
  }
  writer.Commit();
}

// model.safetensors, or shards with their index as Hugging Face names them.
void WriteWeights(const fs::path& root, const GgufFile& file, const ConversionPlan& plan,
                  const ConvertOptions& options) {
  const auto shards = Shards(plan.tensors, options.dtype, options.shard_bytes);
  Progress progress("convert", "tensors", static_cast<int64_t>(plan.tensors.size()));
  int64_t done = 0;
  uint64_t total = 0;
  nlohmann::ordered_json map = nlohmann::ordered_json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    const bool whole = shards.size() == 1;
    const std::string name =
        whole ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    WriteShard(root / name, shards[i], file, options.dtype, [&] { progress.Update(++done); });
    for (const PlannedTensor& planned : shards[i]) {
      map[planned.name] = name;
      total += StoredBytes(planned, options.dtype);
    }
  }
  if (shards.size() == 1) return;
  WriteJson(root / "model.safetensors.index.json", {{"metadata", {{"total_size", total}}}, {"weight_map", map}});
}

nlohmann::ordered_json GenerationConfig(const nlohmann::ordered_json& config) {
  nlohmann::ordered_json document;
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (!config.at(key).is_null()) document[key] = config.at(key);
  }
  return document;
}

}  // namespace

ConvertFacts ConvertGguf(const std::filesystem::path& gguf, const std::filesystem::path& out,
                         const ConvertOptions& options) {
  NLA_CHECK(options.shard_bytes > 0);
  NLA_CHECK(options.dtype == DType::kBF16 || options.dtype == DType::kF16 || options.dtype == DType::kF32);
  const GgufFile file = GgufFile::Open(gguf);
  const ConversionPlan plan = PlanConversion(file, options.dtype);
  AtomicDirectory directory(out, options.replace);
  const fs::path& root = directory.temporary_path();
  WriteJson(root / "tokenizer.json", TokenizerJson(file));
  WriteJson(root / "tokenizer_config.json", TokenizerConfigJson(file));
  WriteJson(root / "config.json", plan.config);
  WriteJson(root / "generation_config.json", GenerationConfig(plan.config));
  WriteWeights(root, file, plan, options);

  ConvertFacts facts;
  facts.architecture = file.metadata().at("general.architecture").get<std::string>();
  facts.tensors = static_cast<int64_t>(plan.tensors.size());
  for (const PlannedTensor& planned : plan.tensors) {
    facts.parameters += RowCount(*planned.source) * RowWidth(*planned.source);
  }
  facts.weight_bytes = static_cast<uint64_t>(facts.parameters) * SizeOf(options.dtype);
  facts.weights_hash = Checkpoint::Open(root).WeightsHash();
  directory.Commit();
  return facts;
}

}  // namespace nla
