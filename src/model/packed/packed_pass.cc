// The steps of a block. What one of them writes and another reads is parted by Team::Meet; rows and panels are shared
// out the same way every time, and no sum crosses them, so that results depend on neither threads nor company.
#include "model/packed/packed_pass.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "base/fail.h"
#include "model/ops/gated_row.h"
#include "model/ops/norm_rows.h"

namespace nla::packed {
namespace {

// The runs of rows that a linear takes at once.
template <typename Body>
void ForChunks(int64_t rows, const Body& body) {
  for (int64_t first = 0; first < rows; first += kMostRows) body(RowRange{first, std::min(kMostRows, rows - first)});
}

// Turns a head by the angles of its position, the halves of its numbers against each other.
void Turn(float* head, int64_t d, const float* cos, const float* sin) {
  const int64_t half = d / 2;
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    const float low = head[i];
    const float high = head[i + half];
    head[i] = low * cos[i] - high * sin[i];
    head[i + half] = high * cos[i] + low * sin[i];
  }
}

}  // namespace

Pass::Buffer::Buffer(int64_t rows, int64_t row_width)
    : tensor(at::empty({rows, row_width}, at::kFloat)), data(tensor.mutable_data_ptr<float>()), width(row_width) {}

Pass::Pass(const ModelSpec& spec, Format format, const at::Tensor& hidden_TD, const NewRows& rows)
    : spec_(spec),
      new_rows_(rows),
      rows_(hidden_TD.size(0)),
      residual_TD_(rows_, spec.d_model),
      normed_TD_(rows_, spec.d_model),
      delta_TD_(rows_, spec.d_model),
      q_TX_(rows_, spec.n_heads * spec.d_head),
      k_TX_(rows_, spec.n_kv_heads * spec.d_head),
      v_TX_(rows_, spec.n_kv_heads * spec.d_head),
      mixed_TX_(rows_, spec.n_heads * spec.d_head),
      gated_TF_(rows_, spec.d_ff),
      inputs_(format, rows_, std::max({spec.d_model, spec.n_heads * spec.d_head, spec.d_ff})) {
  residual_TD_.tensor.copy_(hidden_TD.detach());
  places_.reserve(rows_);
  for (const PagedRows& sequence : rows.sequences) {
    for (int64_t i = 0; i < sequence.rows; ++i) places_.push_back({sequence.pages.data(), sequence.stored + i});
  }
  NLA_CHECK(static_cast<int64_t>(places_.size()) == rows_);
}

// residual += delta, or its norm where the family has one there.
void Pass::AddDelta(int64_t row, const at::Tensor& post) {
  const int64_t d = spec_.d_model;
  float* residual = residual_TD_.Row(row);
  const float* delta = delta_TD_.Row(row);
  if (!post.defined()) {
    for (int64_t i = 0; i < d; ++i) residual[i] += delta[i];
    return;
  }
  const float* weight = post.const_data_ptr<float>();
  const float scale = ops::ReciprocalRms(delta, d, spec_.norm_eps);
  const auto offset = static_cast<float>(spec_.norm_offset);
  for (int64_t i = 0; i < d; ++i) residual[i] += delta[i] * scale * (offset + weight[i]);
}

void Pass::SetNormed(int64_t row, const at::Tensor& norm) {
  const int64_t d = spec_.d_model;
  const float* residual = residual_TD_.Row(row);
  float* normed = normed_TD_.Row(row);
  ops::NormRow(residual, norm.const_data_ptr<float>(), normed, d, ops::ReciprocalRms(residual, d, spec_.norm_eps),
               static_cast<float>(spec_.norm_offset));
  inputs_.Set(row, normed, d);
}

void Pass::SetInputs(const Buffer& rows, const Member& member) {
  member.Share(rows_, [&](int64_t row) { inputs_.Set(row, rows.Row(row), rows.width); });
  member.team.Meet();
}

void Pass::Apply(const PackedLinear& linear, const Buffer& out, const Member& member) {
  ForChunks(rows_, [&](const RowRange& range) {
    member.Share(linear.panels(), [&](int64_t panel) { linear.RunInto(panel, inputs_, range, out.data); });
  });
  member.team.Meet();
}

// Queries, keys and values, whose panels are shared out as one row of panels.
void Pass::ProjectHeads(const Block& block, const Member& member) {
  const PackedLinear* linears[] = {&block.linears[kQ], &block.linears[kK], &block.linears[kV]};
  float* outs[] = {q_TX_.Row(0), k_TX_.Row(0), v_TX_.Row(0)};
  const int64_t all = linears[0]->panels() + linears[1]->panels() + linears[2]->panels();
  ForChunks(rows_, [&](const RowRange& range) {
    member.Share(all, [&](int64_t panel) {
      int i = 0;
      for (; panel >= linears[i]->panels(); ++i) panel -= linears[i]->panels();
      linears[i]->RunInto(panel, inputs_, range, outs[i]);
    });
  });
  member.team.Meet();
}

// Norm and rope of one row's queries and keys; the queries take the scale of attention with them.
void Pass::TurnHeads(const Block& block, int64_t index, int64_t row) {
  const ops::RopeAngles& angles = new_rows_.angles[spec_.blocks[index].rope];
  const int64_t d = spec_.d_head;
  const int64_t at = places_[row].position * (d / 2);
  const float* cos = angles.cos.const_data_ptr<float>() + at;
  const float* sin = angles.sin.const_data_ptr<float>() + at;
  const auto turn = [&](float* heads, int64_t count, const at::Tensor& norm) {
    for (float* head = heads; head < heads + count * d; head += d) {
      if (norm.defined()) {
        ops::NormRow(head, norm.const_data_ptr<float>(), head, d, ops::ReciprocalRms(head, d, spec_.norm_eps),
                     static_cast<float>(spec_.norm_offset));
      }
      Turn(head, d, cos, sin);
    }
  };
  float* query = q_TX_.Row(row);
  turn(query, spec_.n_heads, block.norms[kQueryNorm]);
  turn(k_TX_.Row(row), spec_.n_kv_heads, block.norms[kKeyNorm]);
  const auto scale = static_cast<float>(spec_.attention_scale);
  for (int64_t i = 0; i < spec_.n_heads * d; ++i) query[i] *= scale;
}

template <typename T>
void Pass::Store(int64_t index, KvPages& cache, int64_t row) {
  const int64_t groups = spec_.n_kv_heads;
  const int64_t d = spec_.d_head;
  const Place& place = places_[row];
  const int64_t page = place.pages[place.position / kPageTokens];
  const int64_t slot = place.position % kPageTokens;
  T* keys = cache.keys(index).mutable_data_ptr<T>() + page * groups * d * kPageTokens + slot;
  const float* key = k_TX_.Row(row);
  for (int64_t i = 0; i < groups * d; ++i) keys[i * kPageTokens] = ops::FromFloat<T>(key[i]);
  T* values = cache.values(index).mutable_data_ptr<T>();
  const float* value = v_TX_.Row(row);
  for (int64_t g = 0; g < groups; ++g) {
    T* to = values + ((page * groups + g) * kPageTokens + slot) * d;
    for (int64_t c = 0; c < d; ++c) to[c] = ops::FromFloat<T>(value[g * d + c]);
  }
}

// From here on the pass has the wanted rows alone. They move to the front, those that are still to be read.
void Pass::KeepWanted() {
  int64_t kept = 0;
  for (const int64_t row : *new_rows_.wanted) {
    NLA_CHECK(row >= kept && row < rows_);
    if (row != kept) {
      std::copy_n(residual_TD_.Row(row), residual_TD_.width, residual_TD_.Row(kept));
      std::copy_n(q_TX_.Row(row), q_TX_.width, q_TX_.Row(kept));
      places_[kept] = places_[row];
    }
    ++kept;
  }
  rows_ = kept;
}

template <typename T>
void Pass::Attend(int64_t index, const KvPages& cache, const Member& member) {
  const AttentionSlabs<T> slabs{cache.keys(index).const_data_ptr<T>(),
                                cache.values(index).const_data_ptr<T>(),
                                {spec_.n_heads, spec_.n_kv_heads, spec_.d_head}};
  const int64_t window = spec_.blocks[index].window;
  const int64_t width = slabs.shape.ratio() * slabs.shape.d;
  int64_t longest = 0;
  for (const Place& place : places_) longest = std::max(longest, place.position + 1);
  AttentionScratch scratch(longest, slabs.shape);
  // Group by group: the rows of a prompt read the same keys and values, which then stay in the cache.
  member.TakeTurns(rows_ * slabs.shape.groups, [&](int64_t item) {
    const int64_t row = item % rows_;
    const int64_t group = item / rows_;
    const int64_t end = places_[row].position + 1;
    const AttendedRow seen{places_[row].pages, window > 0 ? std::max<int64_t>(0, end - window) : 0, end};
    AttendGroup(q_TX_.Row(row) + group * width, seen, group, slabs, scratch, mixed_TX_.Row(row) + group * width);
  });
  member.team.Meet();
}

// activation(gate) · up, panel by panel.
void Pass::GateAndUp(const Block& block, const Member& member) {
  const PackedLinear& gate = block.linears[kGate];
  const PackedLinear& up = block.linears[kUp];
  alignas(64) float gates[kMostRows * kPanelOutputs];
  alignas(64) float ups[kMostRows * kPanelOutputs];
  ForChunks(rows_, [&](const RowRange& range) {
    member.Share(gate.panels(), [&](int64_t panel) {
      gate.Run(panel, inputs_, range, gates);
      up.Run(panel, inputs_, range, ups);
      const int64_t first = panel * kPanelOutputs;
      const auto multiply = [&](int64_t count) {
        for (int64_t r = 0; r < range.count; ++r) {
          const float* of_row = gates + r * kPanelOutputs;
          float* out = gated_TF_.Row(range.first + r) + first;
          ops::GateRow(of_row, ups + r * kPanelOutputs, out, count, spec_.activation);
        }
      };
      if (spec_.d_ff - first >= kPanelOutputs) return multiply(kPanelOutputs);  // a constant: two vectors
      multiply(spec_.d_ff - first);
    });
  });
  member.team.Meet();
}

template <typename T>
void Pass::RunBlock(std::span<const Block> blocks, int64_t index, KvPages& cache, const Member& member) {
  const Block& block = blocks[index];
  member.Share(rows_, [&](int64_t row) {
    if (index > 0) AddDelta(row, blocks[index - 1].norms[kPostFeedForwardNorm]);
    SetNormed(row, block.norms[kInputNorm]);
  });
  member.team.Meet();
  ProjectHeads(block, member);
  member.Share(rows_, [&](int64_t row) {
    TurnHeads(block, index, row);
    Store<T>(index, cache, row);
  });
  member.team.Meet();
  if (index + 1 == static_cast<int64_t>(blocks.size()) && new_rows_.wanted) {
    if (member.index == 0) KeepWanted();
    member.team.Meet();
  }
  Attend<T>(index, cache, member);
  SetInputs(mixed_TX_, member);
  Apply(block.linears[kO], delta_TD_, member);
  member.Share(rows_, [&](int64_t row) {
    AddDelta(row, block.norms[kPostAttentionNorm]);
    SetNormed(row, block.norms[kFeedForwardNorm]);
  });
  member.team.Meet();
  GateAndUp(block, member);
  SetInputs(gated_TF_, member);
  Apply(block.linears[kDown], delta_TD_, member);
}

template void Pass::RunBlock<float>(std::span<const Block>, int64_t, KvPages&, const Member&);
template void Pass::RunBlock<c10::BFloat16>(std::span<const Block>, int64_t, KvPages&, const Member&);

void Pass::End(const Block& last, const Member& member) {
  member.Share(rows_, [&](int64_t row) { AddDelta(row, last.norms[kPostFeedForwardNorm]); });
}

}  // namespace nla::packed
