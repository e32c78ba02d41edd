// One forward pass over packed blocks: its buffers, and the steps that a team of threads goes through.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/attend_row.h"
#include "model/attention.h"
#include "model/packed/packed_model.h"
#include "model/packed/team.h"

namespace nla::packed {

class Pass {
 public:
  // Copies the rows of hidden_TD, which become the residual stream; borrows the rest.
  Pass(const ModelSpec& spec, Format format, const at::Tensor& hidden_TD, const NewRows& rows);

  // Called by every member of the team, for one block after another. T is the cache's element type. A block's
  // feed-forward half is added to the residual stream by the next block, or by End.
  template <typename T>
  void RunBlock(std::span<const Block> blocks, int64_t index, KvPages& cache, const Member& member);
  void End(const Block& last, const Member& member);

  // Of the wanted rows, after End.
  at::Tensor residual() const { return residual_TD_.tensor.narrow(0, 0, rows_); }

 private:
  // fp32 [rows, width]. The pointer is taken once: a tensor is asked for it at the cost of a call.
  struct Buffer {
    Buffer(int64_t rows, int64_t row_width);
    float* Row(int64_t row) const { return data + row * width; }
    at::Tensor tensor;
    float* data;
    int64_t width;
  };
  // Where a new row's key and value go, and the token's place in its sequence.
  struct Place {
    const int32_t* pages;
    int64_t position;
  };

  void AddDelta(int64_t row, const at::Tensor& post);
  void SetNormed(int64_t row, const at::Tensor& norm);
  void SetInputs(const Buffer& rows, const Member& member);
  void Apply(const PackedLinear& linear, const Buffer& out, const Member& member);
  void ProjectHeads(const Block& block, const Member& member);
  void TurnHeads(const Block& block, int64_t index, int64_t row);
  template <typename T>
  void Store(int64_t index, KvPages& cache, int64_t row);
  void KeepWanted();
  template <typename T>
  void Attend(int64_t index, const KvPages& cache, const Member& member);
  void GateAndUp(const Block& block, const Member& member);

  const ModelSpec& spec_;
  const NewRows& new_rows_;
  int64_t rows_;
  std::vector<Place> places_;
  Buffer residual_TD_, normed_TD_, delta_TD_, q_TX_, k_TX_, v_TX_, mixed_TX_, gated_TF_;
  LinearInputs inputs_;
};

}  // namespace nla::packed
