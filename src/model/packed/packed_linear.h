// A linear layer whose weights were rearranged once for the kernels, and the rows that such layers read. No gradient.
// Which thread computes which panel is the caller's to say.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "model/packed/format.h"
#include "model/packed/panel_memory.h"

namespace nla::packed {

// Rows as linears of one format read them (format.h): fp32, or 16-bit integers with one scale a row. Rows may be set
// from several threads.
class LinearInputs {
 public:
  // Room for `rows` rows of up to `widest` numbers.
  LinearInputs(Format format, int64_t rows, int64_t widest);

  // `x` are the inputs of one row for a linear of `width` inputs. All rows that a linear reads have its width.
  void Set(int64_t row, const float* x, int64_t width);

 private:
  friend class PackedLinear;
  Format format_;
  int64_t stride_;      // numbers from one row to the next
  at::Tensor numbers_;  // fp32 or int16
  at::Tensor scales_;   // fp32 [rows]
  // Of these, since asking a tensor costs as much as a short row.
  float* floats_ = nullptr;
  int16_t* integers_ = nullptr;
  float* row_scales_;
};

struct RowRange {
  int64_t first = 0;
  int64_t count = 0;
};
// Most rows of one call of PackedLinear::Run.
inline constexpr int64_t kMostRows = 96;

class PackedLinear {
 public:
  PackedLinear() = default;
  // weight [out, in] of any floating type; bias [out] or undefined. Copies what it needs into `memory`, of which it
  // keeps its part alive.
  PackedLinear(Format format, const at::Tensor& weight, const at::Tensor& bias, PanelMemory& memory);

  bool defined() const { return weights_ != nullptr; }
  int64_t outputs() const { return outputs_; }
  int64_t inputs() const { return inputs_; }
  int64_t panels() const { return (outputs_ + kPanelOutputs - 1) / kPanelOutputs; }

  // Outputs kPanelOutputs · panel … of the rows, to `out` [count][kPanelOutputs]; those beyond outputs() are zero. A
  // row's result does not depend on what other rows are in the call.
  void Run(int64_t panel, const LinearInputs& in, const RowRange& rows, float* out) const {
    RunRows(panel, in, rows, out, kPanelOutputs);
  }
  // The same into a matrix [rows][outputs()]; `out` is its first element.
  void RunInto(int64_t panel, const LinearInputs& in, const RowRange& rows, float* out) const;

 private:
  void PackFloats(const at::Tensor& weight, PanelMemory& memory);
  void PackHalves(const at::Tensor& weight, PanelMemory& memory);
  void PackInt8(const at::Tensor& weight, PanelMemory& memory);
  int64_t pairs() const { return (inputs_ + 1) / 2; }
  int64_t panel_bytes() const;
  // A whole panel's outputs; those of a row begin `stride` after the row's before.
  void RunRows(int64_t panel, const LinearInputs& in, const RowRange& rows, float* out, int64_t stride) const;

  Format format_ = Format::kFloat;
  bool halves_ = false;  // bf16 weights
  int64_t outputs_ = 0;
  int64_t inputs_ = 0;
  std::shared_ptr<const void> weights_;  // by panels: fp32 [in][kPanelOutputs]; bf16, int8 [in / 2][kPanelOutputs][2]
  std::shared_ptr<const float> scales_;  // kInt8: [panels · kPanelOutputs]
  std::shared_ptr<const float> bias_;    // [panels · kPanelOutputs], or none
};

}  // namespace nla::packed
