// Rows are cut out of the mapped file one by one.
#include "model/embedding_rows.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/fail.h"
#include "model/tensor_io.h"

namespace nla {
namespace {

TensorFacts TableFacts(const ModelSpec& spec) {
  const std::vector<TensorFacts> all = TensorsOf(spec, 1, /*with_head=*/false);
  const auto table =
      std::find_if(all.begin(), all.end(), [](const auto& facts) { return facts.part == TensorPart::kEmbedding; });
  NLA_CHECK(table != all.end());
  return *table;
}

}  // namespace

double EmbeddingScale(const ModelSpec& spec, at::ScalarType compute) {
  const auto scale = static_cast<float>(spec.embedding_scale);
  return compute == at::kBFloat16 ? static_cast<float>(c10::BFloat16(scale)) : scale;
}

at::Tensor EmbeddingRows(const Checkpoint& checkpoint, std::span<const TokenId> ids, at::ScalarType compute) {
  const std::string where = checkpoint.directory().string();
  const ModelSpec spec = ParseModelSpec(checkpoint.config(), (checkpoint.directory() / "config.json").string());
  const TensorFacts facts = TableFacts(spec);
  const TensorView& table = FindTensor(checkpoint, spec, facts.name);
  if (table.shape != facts.shape) {
    Fail({.where = fmt::format("{}: {}", where, table.name),
          .what = "shape",
          .found = fmt::format("[{}]", fmt::join(table.shape, ", ")),
          .wanted = fmt::format("[{}]", fmt::join(facts.shape, ", "))});
  }
  const size_t row_bytes = static_cast<size_t>(spec.d_model) * SizeOf(table.dtype);
  std::vector<at::Tensor> rows;
  rows.reserve(ids.size());
  for (const TokenId id : ids) {
    if (id < 0 || id >= spec.vocab_size) {
      Fail({.where = where,
            .what = "the prompt has an id that the embedding table has no row for",
            .found = std::to_string(id),
            .wanted = fmt::format("0 to {}", spec.vocab_size - 1),
            .mend = "Take tokenizer.json and config.json from the same checkpoint"});
    }
    const std::vector<int64_t> shape = {1, spec.d_model};
    const TensorView row{table.name, table.dtype, shape,
                         table.bytes.subspan(static_cast<size_t>(id) * row_bytes, row_bytes)};
    rows.push_back(ToTensor(row, shape, compute, where).to(at::kFloat));
  }
  const at::Tensor rows_TD = at::cat(rows);
  return spec.embedding_scale == 1 ? rows_TD : rows_TD * EmbeddingScale(spec, compute);
}

}  // namespace nla
