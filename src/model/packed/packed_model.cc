// Packing of a model's linears, and its head. The blocks' forward pass is packed_pass.h's.
#include "model/packed/packed_model.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "base/fail.h"
#include "model/ops/rows.h"
#include "model/packed/packed_pass.h"
#include "model/packed/team.h"

namespace nla::packed {

void PackedModel::AddBlock(const BlockWeights& block) {
  Block& packed = blocks_.emplace_back();
  for (int norm = 0; norm < kNormsPerBlock; ++norm) packed.norms[norm] = block.norms[norm];
  for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
    packed.linears[linear] = PackedLinear(format_, block.weights[linear], block.biases[linear], memory_);
  }
}

at::Tensor PackedModel::Extend(const at::Tensor& hidden_TD, const NewRows& rows, KvPages& cache) const {
  NLA_CHECK(hidden_TD.scalar_type() == at::kFloat && hidden_TD.size(1) == spec_.d_model && !blocks_.empty());
  Pass pass(spec_, format_, hidden_TD, rows);
  ops::DispatchCompute(cache.keys(0).scalar_type(), [&](auto t) {
    RunTeam([&](const Member& member) {
      for (int64_t i = 0; i < static_cast<int64_t>(blocks_.size()); ++i) {
        pass.RunBlock<decltype(t)>(blocks_, i, cache, member);
      }
      pass.End(blocks_.back(), member);
    });
  });
  return pass.residual();
}

at::Tensor PackedModel::Logits(const at::Tensor& normed_RD) const {
  NLA_CHECK(head_.defined());
  const int64_t rows = normed_RD.size(0);
  const int64_t width = normed_RD.size(1);
  const at::Tensor normed = normed_RD.to(at::kFloat).contiguous();
  const float* from = normed.const_data_ptr<float>();
  at::Tensor logits = at::empty({rows, head_.outputs()}, normed.options());
  float* to = logits.mutable_data_ptr<float>();
  LinearInputs inputs(format_, rows, width);
  RunTeam([&](const Member& member) {
    member.Share(rows, [&](int64_t row) { inputs.Set(row, from + row * width, width); });
    member.team.Meet();
    for (int64_t first = 0; first < rows; first += kMostRows) {
      const RowRange range{first, std::min(kMostRows, rows - first)};
      member.Share(head_.panels(), [&](int64_t panel) { head_.RunInto(panel, inputs, range, to); });
    }
  });
  return logits;
}

}  // namespace nla::packed
