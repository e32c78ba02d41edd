// Writes the directory that gguf_config and gguf_tokenizer plan.
#include "weights/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "weights/checkpoint.h"
#include "weights/float_bits.h"
#include "weights/gguf.h"
#include "weights/gguf_config.h"
#include "weights/gguf_tokenizer.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

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

[[noreturn]] void FailValue(float value, DType dtype, const std::string& where) {
  Fail({.where = where,
        .what = fmt::format("a value that {} cannot hold", Name(dtype)),
        .found = fmt::format("{}", value),
        .wanted = "a finite number",
        .mend = std::isfinite(value) ? "Store a wider type" : "The file is damaged; fetch it again"});
}

// Appends the values in the storage type. Every value must be finite, before and after rounding.
void AppendRounded(std::span<const float> values, DType dtype, const std::string& where, std::vector<std::byte>& out) {
  const size_t begin = out.size();
  out.resize(begin + values.size() * SizeOf(dtype));
  std::byte* to = out.data() + begin;
  const float largest = dtype == DType::kF16 ? 0x1.ffdffep15f : dtype == DType::kBF16 ? 0x1.fefffep127f : FLT_MAX;
  const auto bad = std::ranges::find_if(values, [&](float value) { return !(std::abs(value) <= largest); });
  if (bad != values.end()) FailValue(*bad, dtype, where);
  if (dtype == DType::kF32) {
    std::memcpy(to, values.data(), values.size_bytes());
    return;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits = dtype == DType::kBF16 ? Bf16FromFloat(values[i]) : HalfFromFloat(values[i]);
    std::memcpy(to + i * sizeof(bits), &bits, sizeof(bits));
  }
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
    AppendRounded(row_values, dtype, where, chunk);
    if (chunk.size() < kChunkBytes && row + 1 < rows) continue;
    writer.Append(chunk);
    chunk.clear();
  }
}

void WriteWeights(const fs::path& path, const GgufFile& file, const ConversionPlan& plan, DType dtype) {
  std::vector<TensorSpec> specs;
  for (const PlannedTensor& planned : plan.tensors) specs.push_back({planned.name, dtype, planned.source->shape});
  SafetensorsWriter writer(path, specs, {{"format", "pt"}});
  Progress progress("convert", "tensors", static_cast<int64_t>(plan.tensors.size()));
  int64_t done = 0;
  for (const PlannedTensor& planned : plan.tensors) {
    ThrowIfInterrupted();
    const std::string where = fmt::format("{}: tensor {}", file.path().string(), planned.source->name);
    WriteTensor(planned, dtype, where, writer);
    progress.Update(++done);
  }
  writer.Commit();
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
  NLA_CHECK(options.dtype == DType::kBF16 || options.dtype == DType::kF16 || options.dtype == DType::kF32);
  const GgufFile file = GgufFile::Open(gguf);
  const ConversionPlan plan = PlanConversion(file, options.dtype);
  AtomicDirectory directory(out, options.replace);
  const fs::path& root = directory.temporary_path();
  WriteJson(root / "tokenizer.json", TokenizerJson(file));
  WriteJson(root / "tokenizer_config.json", TokenizerConfigJson(file));
  WriteJson(root / "config.json", plan.config);
  WriteJson(root / "generation_config.json", GenerationConfig(plan.config));
  WriteWeights(root / "model.safetensors", file, plan, options.dtype);

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
